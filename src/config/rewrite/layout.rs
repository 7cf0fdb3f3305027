//! How a file is laid out: which lines and comments are an element's own, how deep it is indented, where a tag ends.
//!
//! Never looks further from an element than white space and comments go, so that a file in one long line costs no more
//! than one in many.

use std::ops::Range;

use quick_xml::escape::escape;
use roxmltree::Node;

use super::normal::Normal;

/// What an indentation may be.
const SPACE: [char; 2] = [' ', '\t'];

/// The text of a file, and its habits.
pub(super) struct Layout<'t> {
    pub(super) text: &'t str,
    pub(super) newline: &'static str,
    /// By how much a child is indented deeper than its parent.
    pub(super) step: &'t str,
}

/// Where an element is.
pub(super) struct Place<'t> {
    /// With what is clearly its own: whole lines when it has them to itself, with the comment above and the one behind
    /// it; else the space before it on its line.
    pub(super) block: Range<usize>,
    /// Where its block starts if the comments above are its own even where that is not clear.
    pub(super) top: usize,
    /// The indentation; none when the element shares a line with another tag.
    pub(super) indent: Option<&'t str>,
}

/// The end of a start tag.
pub(super) struct Tag {
    /// Behind the element's name.
    pub(super) name_end: usize,
    /// The white space before its end, and the end.
    pub(super) close: Range<usize>,
    /// Whether it is the element's end as well: `/>`.
    pub(super) is_empty: bool,
}

impl<'t> Layout<'t> {
    pub(super) fn new(text: &'t str, root: Node<'_, '_>) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut layout = Self { text, newline, step: "  " };
        let first = root.children().filter(Node::is_element).find_map(|child| layout.indent(child));
        let step = first.and_then(|first| first.strip_prefix(layout.indent(root).unwrap_or_default()));
        layout.step = step.filter(|step| !step.is_empty()).unwrap_or(layout.step);
        layout
    }

    pub(super) fn place(&self, node: Node<'_, '_>) -> Place<'t> {
        let Range { start, end } = node.range();
        if let (Some(indent), Some(end)) = (self.indent(node), self.line_end(end)) {
            let top = self.comment_start(node, indent);
            let start = if self.is_first_of_many(node, end) { start - indent.len() } else { top };
            return Place { block: start..end, top, indent: Some(indent) };
        }
        let before = self.text[..start].trim_end_matches(SPACE);
        let is_first = before.is_empty() || before.ends_with('\n');
        let top = if is_first { start } else { before.len() };
        Place { block: top..end, top, indent: None }
    }

    /// What goes when an element goes: its block, and a blank line that would be one too many then.
    pub(super) fn cut(&self, node: Node<'_, '_>) -> Range<usize> {
        let Place { block, indent, .. } = self.place(node);
        let blank_after = self.blank_after(block.end).filter(|_| indent.is_some());
        let before = self.text[..block.start].trim_end().len();
        let is_first = node.parent_element().is_some_and(|parent| self.start_tag(parent).close.end == before);
        let is_last = indent.is_some() && self.text[block.end..].trim_start().starts_with("</");
        match (self.blank_before(block.start), blank_after) {
            (Some(blank), _) if is_last || blank_after.is_some() => blank..block.end,
            (None, Some(blank)) if is_first => block.start..blank,
            (_, _) => block,
        }
    }

    /// Whether a blank line keeps the element from the one of its kind before it.
    pub(super) fn is_spaced(&self, node: Node<'_, '_>, place: &Place<'_>) -> bool {
        let is_sibling = |other: Node<'_, '_>| other.tag_name() == node.tag_name();
        let is_one_of_many = node.has_children() || node.prev_sibling_element().is_some_and(is_sibling);
        is_one_of_many && self.blank_before(place.top).is_some()
    }

    pub(super) fn start_tag(&self, node: Node<'_, '_>) -> Tag {
        let Range { start, end } = node.range();
        let name = self.text[start..end].find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
        let name_end = name.map_or(end, |length| start + length);
        let from = node.attributes().map(|attribute| attribute.range().end).max().unwrap_or(name_end);
        let rest = self.text[from..end].trim_ascii_start();
        let is_empty = rest.starts_with('/');
        let close = end - rest.len() + 1 + usize::from(is_empty);
        Tag { name_end, close: from..close, is_empty }
    }

    /// Where the end tag starts.
    pub(super) fn end_tag(&self, node: Node<'_, '_>) -> usize {
        let range = node.range();
        self.text[range.clone()].rfind("</").map_or(range.end, |at| range.start + at)
    }

    /// Where the line starts, if nothing but space is before this place.
    pub(super) fn line_start(&self, at: usize) -> Option<usize> {
        let before = self.text[..at].trim_end_matches(SPACE);
        (before.is_empty() || before.ends_with('\n')).then_some(before.len())
    }

    /// The element as the writer writes it: in lines behind an indentation that is there already, or in one line.
    pub(super) fn written(&self, normal: &Normal, indent: Option<&str>) -> String {
        let mut text = format!("<{}", normal.kind);
        for (name, value) in &normal.attributes {
            text.push_str(&format!(" {name}=\"{}\"", escape(value.as_str())));
        }
        if normal.children.is_empty() {
            text.push_str("/>");
            return text;
        }
        text.push('>');
        text.push_str(&self.lines(&normal.children, indent));
        text.push_str(&format!("</{}>", normal.kind));
        text
    }

    /// What is between the tags of a parent with this indentation.
    pub(super) fn lines(&self, children: &[Normal], indent: Option<&str>) -> String {
        let Some(indent) = indent else {
            return children.iter().map(|child| self.written(child, None)).collect();
        };
        let deeper = format!("{indent}{}", self.step);
        let line = |child| format!("{}{deeper}{}", self.newline, self.written(child, Some(&deeper)));
        let lines: String = children.iter().map(line).collect();
        format!("{lines}{}{indent}", self.newline)
    }

    /// The space before the element, if it starts its line.
    fn indent(&self, node: Node<'_, '_>) -> Option<&'t str> {
        let start = node.range().start;
        self.line_start(start).map(|line| &self.text[line..start])
    }

    /// Where the next line starts, if nothing but space and comments of one line are behind this place.
    fn line_end(&self, mut at: usize) -> Option<usize> {
        loop {
            let rest = self.text[at..].trim_start_matches(SPACE);
            at = self.text.len() - rest.len();
            if let Some(next) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
                return Some(self.text.len() - next.len());
            }
            let length = rest.strip_prefix("<!--")?.find("-->")? + "<!---->".len();
            if rest[..length].contains('\n') {
                return None;
            }
            at += length;
        }
    }

    /// Whether the next line is another element of the kind: a comment above may be about all of them.
    fn is_first_of_many(&self, node: Node<'_, '_>, end: usize) -> bool {
        node.next_sibling_element().is_some_and(|next| {
            let start = next.range().start;
            next.tag_name() == node.tag_name() && start >= end && self.text[end..start].trim_matches(SPACE).is_empty()
        })
    }

    /// Where the comments start that are directly above an element, in its indentation. One with an element in it is an
    /// element that somebody put aside, and no comment.
    fn comment_start(&self, node: Node<'_, '_>, indent: &str) -> usize {
        let mut start = node.range().start - indent.len();
        let mut above = node.prev_siblings().skip(1).filter(|node| !node.is_text());
        while let Some(comment) = above.next().filter(Node::is_comment) {
            let range = comment.range();
            let gap = self.text[range.end..start].trim_matches(SPACE);
            let is_close = gap == "\n" || gap == "\r\n";
            let is_aside = comment.text().is_some_and(|text| text.trim_start().starts_with('<'));
            if !is_close || is_aside || self.indent(comment) != Some(indent) {
                break;
            }
            start = range.start - indent.len();
        }
        start
    }

    /// Where the blank line before this line starts, if there is one.
    fn blank_before(&self, line: usize) -> Option<usize> {
        let before = self.text[..line].strip_suffix('\n')?;
        let blank = before.strip_suffix('\r').unwrap_or(before).trim_end_matches(SPACE);
        blank.ends_with('\n').then_some(blank.len())
    }

    /// Where the blank line ends that starts here, if there is one.
    fn blank_after(&self, line: usize) -> Option<usize> {
        let rest = self.text[line..].trim_start_matches(SPACE);
        let next = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
        Some(self.text.len() - next.len())
    }
}
