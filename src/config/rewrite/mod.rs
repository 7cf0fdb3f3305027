//! A changed configuration into the text that it came from, which stays as it is wherever it need not change.
//!
//! # The way
//! The old and the new configuration are written in the dialect of the text: what differs between these two
//! ([`normal`]) is what has to change in it. `reshape` moves what the text says in another place than the writer does
//! to that place in both. Then the text's elements are walked beside the two: [`children`] finds which of them stay,
//! move, go and come, [`attributes`] what changes in a start tag, and both ask [`layout`] for lines, indentation and
//! comments. All of it is by the vocabulary and by names, never by the fields of [`Config`].
//!
//! # The net
//! Every result is parsed. One that is not exactly the configuration is thrown away for a coarser one: services written
//! anew as wholes, then the root element, then everything behind the leading comments.

mod attributes;
mod children;
mod edit;
mod layout;
mod normal;
mod reshape;
#[cfg(test)]
mod tests;

use roxmltree::Document;

use self::children::{Detail, Rewriter};
use self::layout::Layout;
use self::normal::Normal;
use super::read::{parse_of_any_size, without_bom};
use super::schema::Rule;
use super::{Config, guard, write};

/// The text of a file with this configuration that keeps of the old text what it can: comments, order, white space,
/// quotes, spellings, the document type, and the root element with its defaults.
///
/// What has not changed stays byte for byte. [`super::parse`] reads the result as exactly `config`, unless `config` is
/// none that a file can have, or the comments make the result longer than a file may be; [`super::save()`] refuses both.
#[must_use]
pub fn rewrite(old_text: &str, config: &Config) -> String {
    let rewritten = match parse_of_any_size(old_text, "") {
        Ok(old) if old == *config => return old_text.to_owned(),
        Ok(old) => changed(old_text, &old, config),
        Err(_) => None,
    };
    rewritten.or_else(|| behind_prologue(old_text, config)).unwrap_or_else(|| write(config))
}

/// The finest change that is right.
fn changed(old_text: &str, old: &Config, new: &Config) -> Option<String> {
    let details = [Detail::Attributes, Detail::Services, Detail::Root];
    details.into_iter().filter_map(|detail| attempt(detail, old_text, old, new)).find(|text| is(text, new))
}

/// What may be the new text, if nothing is there that this detail does not know.
fn attempt(detail: Detail, old_text: &str, old: &Config, new: &Config) -> Option<String> {
    let text = without_bom(old_text);
    let bom = &old_text[..old_text.len() - text.len()];
    let masked = without_doctype(text)?;
    let document = Document::parse(&masked).ok()?;
    let root = document.root_element();
    let (dialect, rule) = Rule::root(root.tag_name().name())?;
    let (old, new) = (Normal::of(old, dialect)?, Normal::of(new, dialect)?);
    let rewritten = Rewriter::new(&Layout::new(text, root), detail).root(root, rule, &old, &new);
    Some(format!("{bom}{rewritten}"))
}

/// The configuration written anew behind what comes before the root element: for a text that is no configuration.
fn behind_prologue(old_text: &str, config: &Config) -> Option<String> {
    let text = without_bom(old_text);
    let prologue = &old_text[..old_text.len() - text.len() + guard::prologue_end(text)];
    let newline = if prologue.ends_with(['\n', '\u{feff}']) || prologue.is_empty() { "" } else { "\n" };
    Some(format!("{prologue}{newline}{}", write(config))).filter(|text| is(text, config))
}

fn is(text: &str, config: &Config) -> bool {
    parse_of_any_size(text, "").is_ok_and(|read| read == *config)
}

/// The text with a space for every byte of its document type declaration, so that all byte offsets stay.
fn without_doctype(text: &str) -> Option<String> {
    let mut masked = text.to_owned();
    if let Some(doctype) = guard::doctype(text).ok()? {
        masked.replace_range(doctype.clone(), &" ".repeat(doctype.len()));
    }
    Some(masked)
}
