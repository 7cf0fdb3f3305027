//! From a file or a text to a valid configuration.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use roxmltree::{Document, Error, TextPos};

use super::error::{Collector, Errors, Reported, quoted, tag};
use super::{Config, guard, validate, xml};
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it. What is not a regular file of at most [`CONFIG_FILE_BYTES_MAX`] bytes in UTF-8 is
/// refused before it is parsed; a pipe or a device is not even opened.
pub fn load(path: &Path) -> Result<Config, Errors> {
    parse(&read_text(path)?, &path.display().to_string())
}

/// The text of a configuration file.
///
/// # Errors
/// As [`load`], as far as it comes before parsing.
pub(crate) fn read_text(path: &Path) -> Result<String, Errors> {
    let name = path.display().to_string();
    let bytes = read_bytes(path).map_err(|what| Errors::unreadable(&name, what))?;
    refuse_large(bytes.len() as u64, &name)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let (valid, rest) = bytes.split_at(at);
        let text = String::from_utf8_lossy(valid);
        let text = without_bom(&text);
        let mut errors = Collector::new(text);
        let byte = rest.first().copied().unwrap_or_default();
        let hint = if valid.is_empty() && matches!(byte, 0xfe | 0xff) { " (this looks like UTF-16)" } else { "" };
        errors.report(text.len(), format!("the byte 0x{byte:02X} is not UTF-8, expected a file in UTF-8{hint}"));
        errors.finish(&name)
    })
}

/// Reads a configuration from a text. `file_name` is what messages call it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(text: &str, file_name: &str) -> Result<Config, Errors> {
    refuse_large(text.len() as u64, file_name)?;
    parse_of_any_size(text, file_name)
}

/// As [`parse`], for a text of our own: whoever made it looks at its length.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn parse_of_any_size(text: &str, file_name: &str) -> Result<Config, Errors> {
    let text = without_bom(text);
    let plain = guard::without_doctype(text).map_err(|refusal| {
        let mut errors = Collector::new(text);
        errors.report(refusal.at, refusal.what);
        errors.finish(file_name)
    })?;
    let mut errors = Collector::new(&plain);
    match validated(&plain, &mut errors) {
        Ok(config) if errors.is_empty() => Ok(config),
        Ok(_) | Err(_) => Err(errors.finish(file_name)),
    }
}

fn validated(text: &str, errors: &mut Collector<'_>) -> Result<Config, Reported> {
    let unclosed = guard::unclosed_element(text).map_err(|refusal| errors.report(refusal.at, refusal.what))?;
    let document = Document::parse(text).map_err(|error| {
        let (at, what) = not_xml(&error, text, unclosed);
        errors.report(at, what)
    })?;
    let (dialect, root) = xml::Element::read(&document, errors)?;
    validate::config(dialect, &root, errors)
}

fn refuse_large(bytes: u64, file_name: &str) -> Result<(), Errors> {
    if bytes <= CONFIG_FILE_BYTES_MAX {
        return Ok(());
    }
    let what = format!("the file is too large, expected at most {CONFIG_FILE_BYTES_MAX} bytes");
    Err(Errors::refused(file_name, what))
}

/// Without the byte order mark that a file may start with.
pub(super) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// At most one byte more than is allowed, so that the caller sees that there is more.
fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let cannot_read = |error: std::io::Error| format!("cannot be read, {error}");
    let regular = |metadata: &std::fs::Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(String::from("not a regular file, expected a configuration file")),
    };
    // Opening a pipe would wait for its writer.
    regular(&std::fs::metadata(path).map_err(cannot_read)?)?;
    let file = File::open(path).map_err(cannot_read)?;
    regular(&file.metadata().map_err(cannot_read)?)?;
    let mut bytes = Vec::new();
    file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    Ok(bytes)
}

/// The parser's complaint with the byte offset that it is about.
fn not_xml(error: &Error, text: &str, unclosed: Option<usize>) -> (usize, String) {
    if let (Error::UnclosedRootNode, Some(at)) = (error, unclosed) {
        let name = text[at + 1..].split(|c: char| c.is_ascii_whitespace() || c == '>').next().unwrap_or_default();
        return (at, format!("{} is never closed, expected {}", tag(name), tag(&format!("/{name}"))));
    }
    if matches!(error, Error::UnclosedRootNode | Error::UnexpectedEndOfStream | Error::NoRootNode) {
        let what = "the file ends before its root element does, expected <director>…</director>";
        return (text.trim_end().len(), String::from(what));
    }
    (offset(text, error.pos()), complaint(error))
}

/// The parser's words only where it has a rare complaint.
fn complaint(error: &Error) -> String {
    if let Error::UnexpectedCloseTag(expected, found, _) = error {
        let (expected, found) = (tag(&format!("/{expected}")), tag(&format!("/{found}")));
        format!("{found} closes nothing here, expected {expected}")
    } else if let Error::DuplicatedAttribute(name, _) = error {
        format!("a second attribute {} of the element, expected one", quoted(name))
    } else if let Error::UnknownEntityReference(name, _) = error {
        format!("unknown entity {}, expected amp, lt, gt, quot or apos", quoted(name))
    } else if let Error::MalformedEntityReference(_) = error {
        String::from("\"&\" starts no character that XML can have, expected &amp; for itself")
    } else if let Error::NonXmlChar(character, _) = error {
        format!("the character {} is not allowed in XML, expected text", quoted(&character.to_string()))
    } else if let Error::UnknownToken(_) = error {
        String::from("neither an element nor a comment, expected one root element and nothing behind it")
    } else {
        let words = error.to_string().replace(&format!(" at {}", error.pos()), "");
        format!("not XML, expected well-formed XML; the parser says {}", quoted(&words))
    }
}

/// The byte offset of the parser's line and column, which count from 1 and in characters.
fn offset(text: &str, position: TextPos) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(position.row as usize - 1).map(str::len).sum();
    let line = &text[line_start..];
    let column = position.col as usize - 1;
    line_start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
}
