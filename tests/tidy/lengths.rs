//! How long files and functions may be.

use super::source::{Source, has_word};

/// Most lines of a file.
pub(crate) const FILE_LINES_MAX: usize = 400;
/// Most lines of a function, its first and last included.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;

/// Files that are too long.
pub(crate) fn check_files(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| source.lines() > FILE_LINES_MAX);
    long.map(|source| format!("{}: {} lines, at most {FILE_LINES_MAX}", source.path, source.lines())).collect()
}

/// Functions that are too long.
pub(crate) fn check_functions(sources: &[Source]) -> Vec<String> {
    let mut long = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.code.lines().collect();
        for (first, _) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let length = function_lines(&lines[first..]);
            if length > FUNCTION_LINES_MAX {
                let at = format!("{}:{}", source.path, first + 1);
                long.push(format!("{at}: a function of {length} lines, at most {FUNCTION_LINES_MAX}"));
            }
        }
    }
    long
}

/// Whether a line declares a function by name; a pointer type `fn(…)` does not.
fn begins_function(line: &str) -> bool {
    line.match_indices("fn ").any(|(at, _)| {
        has_word(&line[..at + 2], "fn") && line[at + 3..].starts_with(|c: char| c.is_alphabetic() || c == '_')
    })
}

/// Lines from the declaration to the brace that closes the body; 1 for a declaration without a body.
fn function_lines(lines: &[&str]) -> usize {
    let (mut braces, mut brackets, mut opened) = (0_i32, 0_i32, false);
    let start = lines.first().and_then(|line| line.find("fn ")).unwrap_or(0);
    for (number, line) in lines.iter().enumerate() {
        for c in line.chars().skip(if number == 0 { start } else { 0 }) {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                ';' if !opened && brackets == 0 => return 1,
                '{' => (braces, opened) = (braces + 1, true),
                '}' => braces -= 1,
                _ => {}
            }
            if opened && braces == 0 {
                return number + 1;
            }
        }
    }
    lines.len()
}

#[test]
fn function_above_the_limit_is_found_and_one_below_is_not() {
    let body =
        |lines: usize| format!("impl X {{\n    pub fn f(&self) {{\n{}    }}\n}}\n", "        a();\n".repeat(lines));
    let found = |lines| check_functions(&[Source::new("src/x.rs", &body(lines))]);
    assert_eq!(found(68), Vec::<String>::new());
    assert_eq!(found(69), ["src/x.rs:2: a function of 71 lines, at most 70"]);
}

#[test]
fn declarations_and_braces_in_text_do_not_count() {
    let text = format!("trait T {{\n    fn a(x: [u8; 2]);\n    fn b() {{ \"{{\"; }}\n{}}}\n", "    // c\n".repeat(80));
    assert_eq!(check_functions(&[Source::new("src/x.rs", &text)]), Vec::<String>::new());
}

#[test]
fn file_above_the_limit_is_found_and_one_below_is_not() {
    let found = |lines: usize| check_files(&[Source::new("src/x.rs", &"a\n".repeat(lines))]).len();
    assert_eq!((found(400), found(401)), (0, 1));
}
