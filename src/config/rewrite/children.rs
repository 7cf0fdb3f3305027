//! What becomes of the elements within an element: which stay, move, go and come.

use std::collections::HashMap;

use roxmltree::Node;

use super::edit::{Edit, apply};
use super::layout::{Layout, Place};
use super::normal::Normal;
use super::{attributes, reshape};
use crate::config::schema::Rule;

/// How fine the changes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Single attributes.
    Attributes,
    /// Services as wholes, and all that is beside them together.
    Services,
    /// The root element as a whole.
    Root,
}

/// Makes the edits.
pub(super) struct Rewriter<'l, 't> {
    layout: &'l Layout<'t>,
    detail: Detail,
}

/// Where something is inserted: behind an element, or before it.
#[derive(Clone, Copy)]
enum Anchor<'a, 'd> {
    Behind(Node<'a, 'd>),
    Before(Node<'a, 'd>),
}

/// What is inserted.
enum Piece<'n> {
    New(&'n Normal),
    /// What was cut elsewhere: alone, and as the lines that it had to itself.
    Moved {
        element: String,
        lines: Option<String>,
    },
}

/// The elements of one kind in one parent, or of an access list: in the text, and in the old and the new normal form.
struct Siblings<'a, 'd, 'n> {
    /// What they are, by name.
    within: &'static Rule,
    nodes: Vec<Node<'a, 'd>>,
    old: Vec<&'n Normal>,
    new: Vec<&'n Normal>,
}

impl Siblings<'_, '_, '_> {
    /// What one of them is.
    fn rule(&self, node: Node<'_, '_>) -> Option<&'static Rule> {
        self.within.child(node.tag_name().name()).map(|child| child.rule)
    }
}

impl<'l, 't> Rewriter<'l, 't> {
    pub(super) const fn new(layout: &'l Layout<'t>, detail: Detail) -> Self {
        Self { layout, detail }
    }

    /// The whole text, changed.
    pub(super) fn root(&self, root: Node<'_, '_>, rule: &'static Rule, old: &Normal, new: &Normal) -> String {
        let (mut old, mut new) = (old.clone(), new.clone());
        let mut edits = Vec::new();
        match self.detail {
            Detail::Attributes => {
                reshape::root(root, &mut old);
                reshape::root(root, &mut new);
                self.children(root, rule, Some(&old), &new, &mut edits);
            }
            Detail::Services => {
                self.beside(root, &mut old, &mut new, &mut edits);
                self.children(root, rule, Some(&old), &new, &mut edits);
            }
            Detail::Root => edits.push(Edit::replace(root.range(), self.layout.written(&new, Some("")))),
        }
        apply(self.layout.text, 0..self.layout.text.len(), &mut edits)
    }

    /// All beside the services goes and comes if any of it changes, so that nothing is left where it would be said
    /// twice.
    fn beside(&self, root: Node<'_, '_>, old: &mut Normal, new: &mut Normal, edits: &mut Vec<Edit>) {
        let take = |normal: &mut Normal| {
            let (services, beside) = normal.children.drain(..).partition(|child| child.kind == "service");
            normal.children = services;
            beside
        };
        let (old, new): (Vec<Normal>, Vec<Normal>) = (take(old), take(new));
        if old != new {
            let (services, beside): (Vec<_>, Vec<_>) =
                root.children().filter(Node::is_element).partition(|node| node.has_tag_name("service"));
            edits.extend(beside.into_iter().map(|node| Edit::cut(self.layout.cut(node))));
            let last = services.last().map(|last| Anchor::Behind(*last));
            edits.extend(new.iter().filter_map(|added| last.map(|last| self.insert(last, &Piece::New(added)))));
        }
    }

    /// The edits of an element that stays. `implied` is the name that it has in its new place when it says none.
    fn element(
        &self,
        node: Node<'_, '_>,
        rule: &'static Rule,
        (old, new): (Option<&Normal>, &Normal),
        implied: Option<&str>,
        edits: &mut Vec<Edit>,
    ) {
        if old == Some(new)
            && implied.is_none_or(|name| node.has_attribute("name") || new.attribute("name") == Some(name))
        {
            return;
        }
        if self.detail == Detail::Services {
            let written = self.layout.written(new, self.layout.place(node).indent);
            return edits.push(Edit::replace(node.range(), written));
        }
        match old {
            Some(old) if rule.name == "service" => {
                let (mut old, mut new) = (old.clone(), new.clone());
                reshape::service(node, &mut old, &mut new);
                attributes::change(self.layout, node, rule, (Some(&old), &new), implied, edits);
                self.children(node, rule, Some(&old), &new, edits);
            }
            Some(_) | None => {
                attributes::change(self.layout, node, rule, (old, new), implied, edits);
                self.children(node, rule, old, new, edits);
            }
        }
    }

    fn children(
        &self,
        parent: Node<'_, '_>,
        rule: &'static Rule,
        old: Option<&Normal>,
        new: &Normal,
        edits: &mut Vec<Edit>,
    ) {
        if !parent.children().any(|node| node.is_element()) {
            return self.fill(parent, &new.children, edits);
        }
        if rule.name == "acl" {
            // Its rules are of two kinds, and their order means something.
            let siblings = Siblings {
                within: rule,
                nodes: parent.children().filter(Node::is_element).collect(),
                old: old.into_iter().flat_map(|old| &old.children).collect(),
                new: new.children.iter().collect(),
            };
            return self.many(&siblings, || None, edits);
        }
        for child in rule.children {
            let kind = child.rule.name;
            if self.detail == Detail::Services && kind != "service" {
                // All beside the services is dealt with.
                continue;
            }
            let siblings = Siblings {
                within: rule,
                nodes: parent.children().filter(|node| node.has_tag_name(kind)).collect(),
                old: old.into_iter().flat_map(|old| old.children(kind)).collect(),
                new: new.children(kind).collect(),
            };
            if child.may_repeat {
                self.many(&siblings, || self.anchor(parent, rule, kind), edits);
            } else {
                self.single(&siblings, || self.anchor(parent, rule, kind), edits);
            }
        }
    }

    /// An element that there is one of at most.
    fn single<'a, 'd>(
        &self,
        siblings: &Siblings<'a, 'd, '_>,
        anchor: impl Fn() -> Option<Anchor<'a, 'd>>,
        edits: &mut Vec<Edit>,
    ) {
        let (old, new) = (siblings.old.first().copied(), siblings.new.first().copied());
        match (siblings.nodes.first(), old, new) {
            (Some(node), old, Some(new)) => {
                if let Some(rule) = siblings.rule(*node) {
                    self.element(*node, rule, (old, new), None, edits);
                }
            }
            (Some(node), Some(old), None) => {
                // What was switched on is switched off, and keeps what else it says for another time.
                let switch = old.attribute("enable").and_then(|_| node.attribute_node("enable"));
                let off = switch.and_then(|switch| attributes::switch_off(self.layout, switch));
                edits.push(off.unwrap_or_else(|| Edit::cut(self.layout.cut(*node))));
            }
            (None, old, Some(new)) if old != Some(new) => {
                edits.extend(anchor().map(|anchor| self.insert(anchor, &Piece::New(new))));
            }
            (Some(_), None, None) | (None, _, _) => {}
        }
    }

    /// Elements that there may be many of, whose order means something.
    fn many<'a, 'd>(
        &self,
        siblings: &Siblings<'a, 'd, '_>,
        anchor: impl Fn() -> Option<Anchor<'a, 'd>>,
        edits: &mut Vec<Edit>,
    ) {
        let Siblings { nodes, old, new, .. } = siblings;
        let origins = origins(&old[..old.len().min(nodes.len())], new);
        let stays = longest_in_order(&origins);
        let mut goes = vec![true; nodes.len()];
        let mut pieces = Vec::new();
        for (index, new) in new.iter().enumerate() {
            let Some(origin) = origins[index] else {
                pieces.push(Some(Piece::New(new)));
                continue;
            };
            let implied = (new.kind == "host").then(|| format!("host.{index}"));
            let mut inner = Vec::new();
            if let Some(rule) = siblings.rule(nodes[origin]) {
                self.element(nodes[origin], rule, (Some(old[origin]), new), implied.as_deref(), &mut inner);
            }
            if stays[index] {
                goes[origin] = false;
                edits.append(&mut inner);
                pieces.push(None);
            } else {
                pieces.push(Some(self.moved(nodes[origin], inner)));
            }
        }
        edits.extend(
            nodes.iter().zip(goes).filter(|(_, goes)| *goes).map(|(node, _)| Edit::cut(self.layout.cut(*node))),
        );
        let staying =
            |index: usize| pieces[index].is_none().then(|| origins[index].map(|origin| nodes[origin])).flatten();
        let first = (0..pieces.len()).find_map(staying).map(Anchor::Before);
        let mut at = first.or_else(|| nodes.last().copied().map(Anchor::Behind)).or_else(anchor);
        for (index, piece) in pieces.iter().enumerate() {
            if let Some(piece) = piece {
                edits.extend(at.map(|anchor| self.insert(anchor, piece)));
            } else {
                at = staying(index).map(Anchor::Behind);
            }
        }
    }

    /// Where an element of a kind belongs in a parent that has none of it: behind what the writer writes before it.
    fn anchor<'a, 'd>(&self, parent: Node<'a, 'd>, rule: &Rule, kind: &str) -> Option<Anchor<'a, 'd>> {
        let rank = |kind: &str| rule.children.iter().position(|child| child.rule.name == kind);
        let elements = || parent.children().filter(Node::is_element);
        let before = elements().rfind(|node| rank(node.tag_name().name()) < rank(kind));
        before.map(Anchor::Behind).or_else(|| elements().next().map(Anchor::Before))
    }

    fn moved(&self, node: Node<'_, '_>, mut edits: Vec<Edit>) -> Piece<'static> {
        let (text, range) = (self.layout.text, node.range());
        let element = apply(text, range.clone(), &mut edits);
        let Place { block, indent, .. } = self.layout.place(node);
        let lines =
            indent.map(|_| format!("{}{element}{}", &text[block.start..range.start], &text[range.end..block.end]));
        Piece::Moved { element, lines }
    }

    fn insert(&self, anchor: Anchor<'_, '_>, piece: &Piece<'_>) -> Edit {
        let (Anchor::Behind(node) | Anchor::Before(node)) = anchor;
        let place = self.layout.place(node);
        let element = match piece {
            Piece::New(new) => self.layout.written(new, place.indent),
            Piece::Moved { element, .. } => element.clone(),
        };
        let newline = self.layout.newline;
        let (text, blank) = match (place.indent, piece) {
            (None, _) => (format!("{}{element}", &self.layout.text[place.block.start..node.range().start]), ""),
            (Some(indent), Piece::New(_) | Piece::Moved { lines: None, .. }) => {
                (format!("{indent}{element}{newline}"), newline)
            }
            (Some(_), Piece::Moved { lines: Some(lines), .. }) => (lines.clone(), newline),
        };
        let blank = if self.layout.is_spaced(node, &place) { blank } else { "" };
        match anchor {
            Anchor::Behind(_) => Edit::insert(place.block.end, format!("{blank}{text}")),
            Anchor::Before(_) => Edit::insert(place.top, format!("{text}{blank}")),
        }
    }

    /// Elements for one that has none.
    fn fill(&self, parent: Node<'_, '_>, children: &[Normal], edits: &mut Vec<Edit>) {
        if children.is_empty() {
            return;
        }
        let layout = self.layout;
        let tag = layout.start_tag(parent);
        let indent = layout.place(parent).indent;
        if tag.is_empty {
            let (lines, kind) = (layout.lines(children, indent), parent.tag_name().name());
            return edits.push(Edit::replace(tag.close, format!(">{lines}</{kind}>")));
        }
        let end = layout.end_tag(parent);
        let own_line = layout.line_start(end).filter(|line| *line > tag.close.end);
        edits.push(match (indent, own_line) {
            (Some(indent), Some(line)) => {
                // The line break of the last line is there already: it is the one before the end tag's line.
                let lines = layout.lines(children, Some(indent));
                let lines = lines.strip_suffix(indent).and_then(|lines| lines.strip_prefix(layout.newline));
                Edit::insert(line, lines.unwrap_or_default().to_owned())
            }
            (Some(_), None) if layout.text[tag.close.end..end].is_empty() => {
                Edit::insert(end, layout.lines(children, indent))
            }
            (Some(_) | None, _) => Edit::insert(end, layout.lines(children, None)),
        });
    }
}

/// For each of the new ones which of the old ones it is: that of its key, else one that has got this key and nothing
/// else.
fn origins(old: &[&Normal], new: &[&Normal]) -> Vec<Option<usize>> {
    let mut known: HashMap<_, Vec<usize>> = HashMap::new();
    for (index, old) in old.iter().enumerate().rev() {
        known.entry((&old.kind, old.key())).or_default().push(index);
    }
    let mut origins: Vec<Option<usize>> =
        new.iter().map(|new| known.get_mut(&(&new.kind, new.key())).and_then(Vec::pop)).collect();
    let mut left: Vec<usize> = known.into_values().flatten().collect();
    left.sort_unstable();
    let mut left = left.into_iter().peekable();
    for (new, origin) in new.iter().zip(&mut origins).filter(|(_, origin)| origin.is_none()) {
        *origin = left.next_if(|left| old[*left].is_renamed(new));
    }
    origins
}

/// Which of them keep their places, so that the fewest move: the longest increasing subsequence.
fn longest_in_order(origins: &[Option<usize>]) -> Vec<bool> {
    // For every length the subsequence that ends lowest, by the place of its last member.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; origins.len()];
    for (index, origin) in origins.iter().enumerate().filter(|(_, origin)| origin.is_some()) {
        let length = ends.partition_point(|end| origins[*end] < *origin);
        before[index] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut stays = vec![false; origins.len()];
    let mut at = ends.last().copied();
    while let Some(index) = at {
        stays[index] = true;
        at = before[index];
    }
    stays
}
