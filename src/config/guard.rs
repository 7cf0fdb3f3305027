//! Looks at the raw text before the XML parser does: bounds what the parser would have to hold, and takes away a
//! document type declaration, so that the parser never sees one.
//!
//! The parser compares every attribute of an element with every other one, and copies name spaces into every level;
//! both grow with the square of the input. A DTD is where entities come from, and with them expansion without bounds
//! and external files; nothing is ever fetched.

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting of elements. The deepest that means anything is 4.
const DEPTH_MAX: usize = 16;
/// Most attributes of an element. The most that mean anything are 5.
const ATTRIBUTES_MAX: usize = 64;

/// Why a text is not parsed: the byte offset and the message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) at: usize,
    pub(super) what: String,
}

impl Refusal {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// The text with spaces in the place of its document type declaration, if it has one; all lines and columns stay.
///
/// # Errors
/// The declaration defines an entity, or is malformed.
pub(super) fn without_doctype(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let Some(Range { start, end }) = doctype(text)? else { return Ok(Cow::Borrowed(text)) };
    let blank = text[start..end].chars().map(|character| if character == '\n' { '\n' } else { ' ' });
    Ok(Cow::Owned(text[..start].chars().chain(blank).chain(text[end..].chars()).collect()))
}

/// Where the document type declaration is, if there is one.
///
/// # Errors
/// The declaration defines an entity, or is malformed.
pub(super) fn doctype(text: &str) -> Result<Option<Range<usize>>, Refusal> {
    let start = misc_end(text, 0);
    if !text[start..].starts_with("<!DOCTYPE") {
        return Ok(None);
    }
    Ok(Some(start..doctype_end(text, start)?))
}

/// Where what may come before the root element ends: comments, processing instructions, white space, and a document
/// type declaration that is none of those that are refused.
pub(super) fn prologue_end(text: &str) -> usize {
    match doctype(text) {
        Ok(Some(doctype)) => misc_end(text, doctype.end),
        Ok(None) | Err(_) => misc_end(text, 0),
    }
}

/// Checks the bounds up to the first place where the text is not XML. Returns where an element starts that is never
/// closed.
///
/// # Errors
/// The text is nested too deep, or an element has too many attributes.
pub(super) fn unclosed_element(text: &str) -> Result<Option<usize>, Refusal> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        at += found;
        let Some((markup, length)) = markup(&text[at..]) else { return Ok(None) };
        match markup {
            Markup::Other => {}
            Markup::End => drop(open.pop()),
            Markup::Start { attributes, is_empty } => {
                if attributes > ATTRIBUTES_MAX {
                    let what = format!("the element has too many attributes, expected at most {ATTRIBUTES_MAX}");
                    return Err(Refusal::new(at, what));
                }
                if open.len() >= DEPTH_MAX {
                    let what = format!("elements are nested too deep, expected at most {DEPTH_MAX} levels");
                    return Err(Refusal::new(at, what));
                }
                if !is_empty {
                    open.push(at);
                }
            }
        }
        at += length;
    }
    Ok(open.pop())
}

enum Markup {
    Start {
        attributes: usize,
        is_empty: bool,
    },
    End,
    /// A comment, a processing instruction or character data.
    Other,
}

/// What starts with the `<` at the start of this text, and its length in bytes; `None` when it has no end.
fn markup(text: &str) -> Option<(Markup, usize)> {
    if text.starts_with("<!--") {
        Some((Markup::Other, after(text, 4, "-->")?))
    } else if text.starts_with("<![CDATA[") {
        Some((Markup::Other, after(text, 9, "]]>")?))
    } else if text.starts_with("<?") {
        Some((Markup::Other, after(text, 2, "?>")?))
    } else if text.starts_with("</") {
        Some((Markup::End, after(text, 2, ">")?))
    } else {
        start_tag(text)
    }
}

fn start_tag(text: &str) -> Option<(Markup, usize)> {
    let (mut at, mut attributes) = (1, 0);
    loop {
        match *text.as_bytes().get(at)? {
            b'>' => {
                let is_empty = text[..at].ends_with('/');
                return Some((Markup::Start { attributes, is_empty }, at + 1));
            }
            b'<' => return None,
            quote @ (b'"' | b'\'') => {
                // A value does not go beyond the next `<`, so neither does the search for its end.
                let value = &text[at + 1..];
                let end = value.find([char::from(quote), '<']).filter(|end| !value[*end..].starts_with('<'))?;
                attributes += 1;
                at += end + 2;
            }
            _ => at += 1,
        }
    }
}

/// The length up to and including `end`, looked for behind the first `skip` bytes.
fn after(text: &str, skip: usize, end: &str) -> Option<usize> {
    text[skip..].find(end).map(|found| skip + found + end.len())
}

/// Where the comments, processing instructions and white space end that start at `at`.
fn misc_end(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text[at..].trim_ascii_start();
        at = text.len() - rest.len();
        let length = if rest.starts_with("<!--") {
            after(rest, 4, "-->")
        } else if rest.starts_with("<?") {
            after(rest, 2, "?>")
        } else {
            None
        };
        match length {
            Some(length) => at += length,
            None => return at,
        }
    }
}

/// The offset behind the declaration that starts at `start`: a name, perhaps an external identifier, perhaps
/// declarations in brackets (XML 1.0, production 28).
fn doctype_end(text: &str, start: usize) -> Result<usize, Refusal> {
    let mut at = start + "<!DOCTYPE".len();
    loop {
        match text.as_bytes().get(at).copied() {
            Some(b'>') => return Ok(at + 1),
            Some(quote @ (b'"' | b'\'')) => at = quoted_end(text, at, quote).ok_or_else(|| malformed(start))?,
            Some(b'[') => at = declarations_end(text, start, at + 1)?,
            Some(b'<') | None => return Err(malformed(start)),
            Some(_) => at += 1,
        }
    }
}

/// The offset behind the closing bracket.
fn declarations_end(text: &str, start: usize, mut at: usize) -> Result<usize, Refusal> {
    loop {
        let rest = text[at..].trim_ascii_start();
        at = text.len() - rest.len();
        if rest.starts_with(']') {
            return Ok(at + 1);
        }
        if rest.starts_with("<!ENTITY") {
            return Err(Refusal::new(at, "the DTD defines an entity, expected a file without entity definitions"));
        }
        let length = if rest.starts_with("<!--") {
            after(rest, 4, "-->")
        } else if rest.starts_with("<?") {
            after(rest, 2, "?>")
        } else if ["<!ELEMENT", "<!ATTLIST", "<!NOTATION"].iter().any(|name| rest.starts_with(name)) {
            declaration_end(rest)
        } else {
            None
        };
        at += length.ok_or_else(|| malformed(start))?;
    }
}

fn declaration_end(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        match *text.as_bytes().get(at)? {
            b'>' => return Some(at + 1),
            quote @ (b'"' | b'\'') => at = quoted_end(text, at, quote)?,
            _ => at += 1,
        }
    }
}

/// The offset behind the closing quote of the literal whose opening quote is at `at`.
fn quoted_end(text: &str, at: usize, quote: u8) -> Option<usize> {
    text[at + 1..].find(char::from(quote)).map(|end| at + 1 + end + 1)
}

fn malformed(at: usize) -> Refusal {
    Refusal::new(at, "the document type declaration is malformed, expected <!DOCTYPE NAME SYSTEM \"FILE\"> or none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_a_doctype_is_left_alone() {
        for text in ["", "<a/>", "<!-- <!DOCTYPE a> --><a/>", "<a><!DOCTYPE a></a>", "<!-- never closed", "<?xml"] {
            assert!(matches!(without_doctype(text), Ok(Cow::Borrowed(same)) if same == text), "{text}");
        }
    }

    #[test]
    fn plain_doctype_is_blanked_and_keeps_every_line_and_column() {
        let text = "<?xml version='1.0'?>\n<!-- é -->\n<!DOCTYPE pdconfig\n  SYSTEM \"é'>.dtd\"><a/>";
        let blanked = "<?xml version='1.0'?>\n<!-- é -->\n                  \n                   <a/>";
        assert_eq!(without_doctype(text).unwrap(), blanked);
    }

    #[test]
    fn doctype_with_declarations_but_no_entities_is_blanked() {
        let text = "<!DOCTYPE a [ <!ELEMENT a (b*)> <!-- <!ENTITY --> <?pi ]> ?> <!ATTLIST a b CDATA '>'> ] ><a/>";
        assert_eq!(without_doctype(text).unwrap().trim_start(), "<a/>");
    }

    #[test]
    fn prologue_ends_before_the_root_element_and_at_what_is_not_allowed() {
        for (prologue, rest) in [
            ("", "<a/>"),
            ("<?xml version='1.0'?>\n<!-- <b> -->\n", "<a/><!-- c -->"),
            ("<!-- é -->\n<!DOCTYPE a>\n<?pi?> ", "<a/>"),
            ("\n", "<!-- never closed"),
            ("<?pi?>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"),
        ] {
            assert_eq!(prologue_end(&format!("{prologue}{rest}")), prologue.len(), "{prologue}");
        }
    }

    #[test]
    fn doctype_with_an_entity_is_refused_where_it_is_defined() {
        for text in
            ["<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "<!DOCTYPE a [<!ENTITY % b SYSTEM 'file:///etc/passwd'>]><a/>"]
        {
            let refusal = without_doctype(text).unwrap_err();
            assert_eq!(refusal.at, 13, "{text}");
            assert_eq!(refusal.what, "the DTD defines an entity, expected a file without entity definitions");
        }
    }

    #[test]
    fn doctype_that_is_malformed_is_refused() {
        for text in [
            "<!DOCTYPE",
            "<!DOCTYPE a",
            "<!DOCTYPE a SYSTEM 'b><a/>",
            "<!DOCTYPE a [ %b; ]><a/>",
            "<!DOCTYPE a [",
            "<!DOCTYPE a <a/>",
        ] {
            assert_eq!(without_doctype(text), Err(malformed(0)), "{text}");
        }
    }

    #[test]
    fn nesting_is_refused_at_the_first_element_that_is_too_deep() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert_eq!(unclosed_element(&nested(DEPTH_MAX)), Ok(None));
        let refusal = unclosed_element(&nested(DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(refusal.at, 3 * DEPTH_MAX);
        assert_eq!(refusal.what, "elements are nested too deep, expected at most 16 levels");
    }

    #[test]
    fn attributes_are_refused_above_their_bound() {
        let element = |count: usize| format!("<a{}/>", (0..count).map(|n| format!(" b{n}='>'")).collect::<String>());
        assert_eq!(unclosed_element(&element(ATTRIBUTES_MAX)), Ok(None));
        let refusal = unclosed_element(&element(ATTRIBUTES_MAX + 1)).unwrap_err();
        assert_eq!(refusal.what, "the element has too many attributes, expected at most 64");
    }

    #[test]
    fn markup_in_comments_data_and_values_is_not_counted() {
        let inner = "<b>".repeat(DEPTH_MAX + 1);
        for text in
            [format!("<a><!--{inner}--></a>"), format!("<a><![CDATA[{inner}]]></a>"), format!("<a><?b {inner}?></a>")]
        {
            assert_eq!(unclosed_element(&text), Ok(None), "{text}");
        }
    }

    #[test]
    fn element_that_is_never_closed_is_found() {
        assert_eq!(unclosed_element("<a> <b x='/'> <c/> "), Ok(Some(4)));
        assert_eq!(unclosed_element("<a><b></b>"), Ok(Some(0)));
        assert_eq!(unclosed_element("<a><b x='<'></b>"), Ok(None), "not XML: the parser says so");
    }
}
