//! Rust source split into what the checks look at: code without comments and literals, and comments alone.

use std::fs;
use std::path::Path;

/// One file. `code` and `comments` have the lines of the file, with blanks where the other is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Path from the top of the package, with `/`.
    pub(crate) path: String,
    /// Without comments and without the contents of literals.
    pub(crate) code: String,
    /// Only comments.
    pub(crate) comments: String,
}

impl Source {
    /// A file with this text.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        Self { path: path.to_owned(), code, comments }
    }

    /// All Rust files below these directories of the package.
    pub(crate) fn read_all(directories: &[&str]) -> Vec<Self> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut all = Vec::new();
        for directory in directories {
            read(top, &top.join(directory), &mut all);
        }
        assert!(!all.is_empty(), "no source below {directories:?}");
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// How many lines it has.
    pub(crate) fn lines(&self) -> usize {
        self.code.lines().count()
    }

    /// The lines of code that contain this word, as `path:line`.
    pub(crate) fn naming(&self, word: &str) -> Vec<String> {
        let lines = self.code.lines().enumerate().filter(|(_, line)| has_word(line, word));
        lines.map(|(number, _)| format!("{}:{}", self.path, number + 1)).collect()
    }
}

/// Whether the line contains the word on its own, not as a part of a longer name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !inside(line[..at].chars().next_back()) && !inside(line[at + word.len()..].chars().next()))
}

fn read(top: &Path, path: &Path, all: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            read(top, &path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            let name = path.strip_prefix(top).expect("below the top").to_string_lossy().replace('\\', "/");
            all.push(Source::new(&name, &text));
        }
    }
}

/// What the reader is in.
enum State {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let (mut state, mut at) = (State::Code, 0);
    while at < chars.len() {
        let (next, length) = step(&state, &chars[at..]);
        let was_code = matches!(state, State::Code);
        let is_comment = |state: &State| matches!(state, State::LineComment | State::BlockComment(_));
        let commented = is_comment(&state) || next.as_ref().is_some_and(is_comment);
        for c in &chars[at..at + length] {
            let blank = if *c == '\n' { '\n' } else { ' ' };
            code.push(if was_code && !commented && length == 1 { *c } else { blank });
            comments.push(if commented { *c } else { blank });
        }
        at += length;
        state = next.unwrap_or(state);
    }
    (code, comments)
}

/// The state after the next characters, if it changes, and how many those are.
fn step(state: &State, rest: &[char]) -> (Option<State>, usize) {
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    match state {
        State::Code if starts("//") => (Some(State::LineComment), 2),
        State::Code if starts("/*") => (Some(State::BlockComment(1)), 2),
        State::Code if starts("\"") => (Some(State::Text), 1),
        State::Code if starts("'") => (None, char_literal(rest)),
        State::Code if starts("r\"") || starts("r#") => raw_start(rest),
        State::LineComment if starts("\n") => (Some(State::Code), 1),
        State::BlockComment(depth) if starts("/*") => (Some(State::BlockComment(depth + 1)), 2),
        State::BlockComment(1) if starts("*/") => (Some(State::Code), 2),
        State::BlockComment(depth) if starts("*/") => (Some(State::BlockComment(depth - 1)), 2),
        State::Text if starts("\\") => (None, 2.min(rest.len())),
        State::Text if starts("\"") => (Some(State::Code), 1),
        State::RawText(hashes) if starts(&format!("\"{}", "#".repeat(*hashes))) => (Some(State::Code), hashes + 1),
        State::Code | State::LineComment | State::BlockComment(_) | State::Text | State::RawText(_) => (None, 1),
    }
}

/// The length of a character literal; 1 for the tick of a lifetime.
fn char_literal(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => rest.iter().skip(2).skip(1).position(|c| *c == '\'').map_or(1, |end| end + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The start of a raw string, or of a raw name.
fn raw_start(rest: &[char]) -> (Option<State>, usize) {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) == Some(&'"') { (Some(State::RawText(hashes)), hashes + 2) } else { (None, 1) }
}

#[test]
fn source_with_literals_and_comments_is_split() {
    let text =
        "let a = \"x // {\"; // c {\nlet b = '{'; /* d /* e */ f */ let c = r#\"\"}\"#; fn f<'a>(x: &'a str) {}\n";
    let source = Source::new("x", text);
    assert_eq!(source.code.lines().count(), 2);
    assert_eq!(source.code.matches('{').count(), 1, "{}", source.code);
    assert_eq!(source.code.matches('}').count(), 1, "{}", source.code);
    assert!(source.code.contains("let b =") && source.code.contains("&'a str"), "{}", source.code);
    assert!(source.comments.contains("// c {") && source.comments.contains("d /* e */ f"), "{}", source.comments);
    assert!(!source.comments.contains("let"), "{}", source.comments);
}

#[test]
fn word_inside_a_longer_name_is_not_the_word() {
    assert!(has_word("use mio::Poll;", "mio"));
    assert!(!has_word("let premio = mio_2;", "mio"));
}
