//! The normal form of a configuration: the elements that the writer writes, in a tree that can be compared and changed.

use roxmltree::{Document, Node};

use crate::config::Config;
use crate::config::schema::Dialect;
use crate::config::write::write_as;

/// An element of the normal form. What has its default is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Normal {
    pub(super) kind: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Self>,
}

impl Normal {
    /// The configuration in a dialect; none when it has a text that XML cannot have.
    pub(super) fn of(config: &Config, dialect: Dialect) -> Option<Self> {
        let text = write_as(config, dialect);
        let document = Document::parse(&text).ok()?;
        Some(Self::from_node(document.root_element()))
    }

    pub(super) fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), attributes: Vec::new(), children: Vec::new() }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    fn from_node(node: Node<'_, '_>) -> Self {
        Self {
            kind: node.tag_name().name().to_owned(),
            attributes: node.attributes().map(|each| (each.name().to_owned(), each.value().to_owned())).collect(),
            children: node.children().filter(Node::is_element).map(Self::from_node).collect(),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn take_attribute(&mut self, name: &str) -> Option<String> {
        let at = self.attributes.iter().position(|(other, _)| other == name)?;
        Some(self.attributes.remove(at).1)
    }

    /// The elements of that kind, in their order.
    pub(super) fn children<'n>(&'n self, kind: &str) -> impl Iterator<Item = &'n Self> {
        self.children.iter().filter(move |child| child.kind == kind)
    }

    pub(super) fn child(&self, kind: &str) -> Option<&Self> {
        self.children(kind).next()
    }

    pub(super) fn child_mut(&mut self, kind: &str) -> Option<&mut Self> {
        self.children.iter_mut().find(|child| child.kind == kind)
    }

    pub(super) fn take_child(&mut self, kind: &str) -> Option<Self> {
        let at = self.children.iter().position(|child| child.kind == kind)?;
        Some(self.children.remove(at))
    }

    /// What tells it from others of its kind in its parent: a listener's address, a rule's network, and of all others the
    /// name.
    pub(super) fn key(&self) -> Option<&(String, String)> {
        ["name", "ip", "net"].iter().find_map(|key| self.attributes.iter().find(|(name, _)| name == key))
    }

    /// Whether it differs from another one in its key alone.
    pub(super) fn is_renamed(&self, other: &Self) -> bool {
        let (Some((key, _)), Some((other_key, _))) = (self.key(), other.key()) else { return false };
        let same = |((name, value), (other_name, other_value)): (&(String, String), &(String, String))| {
            name == other_name && (value == other_value || name == key)
        };
        key == other_key
            && self.kind == other.kind
            && self.attributes.len() == other.attributes.len()
            && self.attributes.iter().zip(&other.attributes).all(same)
            && self.children == other.children
    }
}
