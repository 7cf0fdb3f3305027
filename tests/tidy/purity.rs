//! What the pure parts never name, where `unsafe` may be and what stands beside it, and what nobody leaves behind.

use super::layers::{is_shell, module_of};
use super::source::{Source, has_word};

/// Sockets, clocks and hash maps in the brains.
pub(crate) fn check_brains(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let never: &[&str] = match module_of(&source.path) {
            ("balancer", _) => &["mio", "Instant", "SystemTime", "HashMap", "HashSet"],
            ("wire", _) => &["mio", "Instant", "SystemTime"],
            ("manager", rest) if !is_shell(rest) => &["mio", "Instant", "SystemTime"],
            _ => &[],
        };
        for word in never {
            wrong.extend(source.naming(word).into_iter().map(|at| format!("{at}: {word} in a pure part")));
        }
    }
    wrong
}

/// `unsafe` outside `sys`, tests and benches, or without its reason.
pub(crate) fn check_unsafe(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let code: Vec<&str> = source.code.lines().collect();
        let comments: Vec<&str> = source.comments.lines().collect();
        let at_home = module_of(&source.path).0 == "sys" || !source.path.starts_with("src/");
        for (number, _) in code.iter().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
            let at = format!("{}:{}", source.path, number + 1);
            if !at_home {
                wrong.push(format!("{at}: unsafe outside sys"));
            }
            if !is_justified(&code, &comments, number) {
                wrong.push(format!("{at}: unsafe without a SAFETY comment"));
            }
        }
    }
    wrong
}

/// Whether a comment with the reason stands on the line, or above it with only the same statement's lines between.
fn is_justified(code: &[&str], comments: &[&str], number: usize) -> bool {
    let says = |line: usize| comments[line].contains("SAFETY:") || comments[line].contains("# Safety");
    if says(number) {
        return true;
    }
    for line in (0..number).rev() {
        if says(line) {
            return true;
        }
        let (words, comment) = (code[line].trim(), comments[line].trim());
        let ends_statement = words.ends_with([';', '}', '{', ',']);
        if (words.is_empty() && comment.is_empty()) || (ends_statement && !words.starts_with('#')) {
            return false;
        }
    }
    false
}

/// Marks of unfinished work.
pub(crate) fn check_leftovers(sources: &[Source]) -> Vec<String> {
    const MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
    // In two halves, so that this file passes its own check.
    let words = [("TO", "DO"), ("FIX", "ME"), ("XX", "X")].map(|(a, b)| format!("{a}{b}"));
    let mut wrong = Vec::new();
    for source in sources {
        for (number, (code, comment)) in source.code.lines().zip(source.comments.lines()).enumerate() {
            let at = format!("{}:{}", source.path, number + 1);
            let macros = MACROS.iter().filter(|name| has_word(code, name));
            wrong.extend(macros.map(|name| format!("{at}: {name}")));
            wrong.extend(words.iter().filter(|word| has_word(comment, word)).map(|word| format!("{at}: {word}")));
            if code.contains("#[ignore") {
                wrong.push(format!("{at}: an ignored test"));
            }
        }
    }
    wrong
}

#[test]
fn clock_socket_or_hash_map_in_a_brain_is_found() {
    let found = |path, text| check_brains(&[Source::new(path, text)]).len();
    assert_eq!(found("src/balancer/pool.rs", "use std::time::Instant;"), 1);
    assert_eq!(found("src/balancer/pool.rs", "let t = std::time::SystemTime::now();"), 1);
    assert_eq!(found("src/balancer/scheduler/random.rs", "use std::collections::HashMap;"), 1);
    assert_eq!(found("src/balancer/mod.rs", "use mio::Token;"), 1);
    assert_eq!(found("src/manager/health.rs", "use mio::Poll;"), 1);
    assert_eq!(found("src/manager/prober.rs", "use mio::Poll; use std::time::Instant;"), 0);
    assert_eq!(found("src/balancer/mod.rs", "// no mio and no Instant here\nlet a = \"HashMap\";"), 0);
    assert_eq!(found("src/reactor/run.rs", "use mio::Poll; use std::time::Instant;"), 0);
}

#[test]
fn unsafe_in_the_wrong_place_or_without_a_reason_is_found() {
    let found = |path, text| check_unsafe(&[Source::new(path, text)]).len();
    assert_eq!(found("src/reactor/tcp.rs", "// SAFETY: fine\nunsafe { f() }"), 1);
    assert_eq!(found("src/sys/socket.rs", "let a = 1;\nunsafe { f() }"), 1);
    assert_eq!(found("src/sys/socket.rs", "// SAFETY: of g\ng();\nunsafe { f() }"), 1);
    assert_eq!(
        found("src/sys/socket.rs", "// SAFETY: fine\n// and more\n#[allow(x)]\nlet a =\n    unsafe { f() };"),
        0
    );
    assert_eq!(found("src/sys/socket.rs", "/// # Safety\n/// Never twice.\npub unsafe fn f() {}"), 0);
    assert_eq!(found("tests/support/socket.rs", "// SAFETY: fine\nunsafe { f() }"), 0);
    assert_eq!(found("src/lib.rs", "#![deny(unsafe_code)] // unsafe"), 0);
}

#[test]
fn leftovers_are_found_in_code_and_comments() {
    let found = |text: &str| check_leftovers(&[Source::new("src/x.rs", text)]).len();
    assert_eq!(found("fn f() { todo!() }\nfn g() { dbg!(1); unimplemented!() }"), 3);
    assert_eq!(found(&format!("// {}: later", ["TO", "DO"].concat())), 1);
    assert_eq!(found(&format!("/* {} */", ["FIX", "ME"].concat())), 1);
    assert_eq!(found("#[test]\n#[ignore = \"slow\"]\nfn f() {}"), 1);
    assert_eq!(found("let a = \"todo!\"; // nothing to do"), 0);
}
