//! What changes in a start tag.

use std::ops::Range;

use quick_xml::escape::escape;
use roxmltree::{Attribute, Node};

use super::edit::Edit;
use super::layout::Layout;
use super::normal::Normal;
use crate::config::schema::{BOOLEAN, Rule, TIME};
use crate::config::value;

/// Words for no and yes.
const ANSWERS: [[&str; 2]; 3] = [["false", "true"], ["no", "yes"], ["0", "1"]];

/// The edits of an element's attributes. `implied` is the name that it has in its new place when it says none.
pub(super) fn change(
    layout: &Layout<'_>,
    node: Node<'_, '_>,
    rule: &Rule,
    (old, new): (Option<&Normal>, &Normal),
    implied: Option<&str>,
    edits: &mut Vec<Edit>,
) {
    let mut added = String::new();
    for (name, form) in rule.attributes {
        let here = node.attribute_node(*name);
        match wanted(rule, name, here, (old, new), implied) {
            Wanted::AsItIs => {}
            Wanted::Gone => edits.extend(here.map(|here| Edit::cut(with_space(layout, here.range())))),
            Wanted::Value(value) => match here {
                Some(here) => edits.extend(with_value(layout, here, form, value)),
                None => added.push_str(&format!(" {name}={}", quoted(value, quote(layout, node)))),
            },
        }
    }
    if !added.is_empty() {
        let end = node.attributes().map(|attribute| attribute.range().end).max();
        edits.push(Edit::insert(end.unwrap_or_else(|| layout.start_tag(node).name_end), added));
    }
}

/// The edit that says in a switch that it is off.
pub(super) fn switch_off(layout: &Layout<'_>, switch: Attribute<'_, '_>) -> Option<Edit> {
    with_value(layout, switch, BOOLEAN, "false")
}

/// What should become of an attribute.
enum Wanted<'n> {
    AsItIs,
    Gone,
    Value(&'n str),
}

fn wanted<'n>(
    rule: &Rule,
    name: &str,
    here: Option<Attribute<'_, '_>>,
    (old, new): (Option<&Normal>, &'n Normal),
    implied: Option<&str>,
) -> Wanted<'n> {
    let will = new.attribute(name);
    if let (Some(implied), "name", Some(will)) = (implied, name, will) {
        let now = here.map_or(implied, |here| here.value());
        return if now == will { Wanted::AsItIs } else { Wanted::Value(will) };
    }
    let Some(old) = old else {
        // The element had no effect. If a switch was why, then what else it says is not what it would mean now.
        let is_off = rule.attribute("enable").is_some();
        let says_no = here.is_some_and(|here| value::boolean(here.value()) == Ok(false));
        return match will {
            Some(value) => Wanted::Value(value),
            None if is_off && name == "enable" && says_no => Wanted::Value("true"),
            None if is_off && name != "enable" => Wanted::Gone,
            None => Wanted::AsItIs,
        };
    };
    match will {
        _ if old.attribute(name) == will => Wanted::AsItIs,
        Some(value) => Wanted::Value(value),
        None => Wanted::Gone,
    }
}

/// The attribute with another value, in its quotes and its kind of spelling.
fn with_value(layout: &Layout<'_>, here: Attribute<'_, '_>, form: &str, value: &str) -> Option<Edit> {
    let value = spelt(form, here.value(), value);
    let range = here.range();
    let quote = layout.text[range.clone()].find(['"', '\''])?;
    let range = range.start + quote + 1..range.end - 1;
    (here.value() != value).then(|| Edit::replace(range, escape(value.as_str()).into_owned()))
}

/// A value in the kind of spelling that the file has there: PythonDirector reads seconds without a unit only.
fn spelt(form: &str, here: &str, value: &str) -> String {
    if form == TIME && here.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = value::time(value).ok().filter(|time| time.subsec_nanos() == 0);
        return whole.map_or_else(|| value.to_owned(), |time| time.as_secs().to_string());
    }
    if form == BOOLEAN
        && let Ok(answer) = value::boolean(value)
        && let Some(words) = ANSWERS.iter().find(|words| words.contains(&here))
    {
        return words[usize::from(answer)].to_owned();
    }
    value.to_owned()
}

/// An attribute's range with the white space before it.
fn with_space(layout: &Layout<'_>, range: Range<usize>) -> Range<usize> {
    layout.text[..range.start].trim_ascii_end().len()..range.end
}

/// The quotes of the element's last attribute.
fn quote(layout: &Layout<'_>, node: Node<'_, '_>) -> char {
    let last = node.attributes().map(|attribute| attribute.range().end).max();
    if last.is_some_and(|end| layout.text[..end].ends_with('\'')) { '\'' } else { '"' }
}

fn quoted(value: &str, quote: char) -> String {
    format!("{quote}{}{quote}", escape(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_spelt_as_the_one_before_it() {
        assert_eq!(spelt(TIME, "30", "2m"), "120");
        assert_eq!(spelt(TIME, "30", "1500ms"), "1500ms");
        assert_eq!(spelt(TIME, "30s", "2m"), "2m");
        assert_eq!(spelt(BOOLEAN, "yes", "false"), "no");
        assert_eq!(spelt(BOOLEAN, "0", "true"), "1");
        assert_eq!(spelt(BOOLEAN, " true", "false"), "false");
        assert_eq!(spelt("NUMBER", "1", "2"), "2");
    }
}
