//! The raw configuration: elements and attributes that the vocabulary knows, with their places and texts.
//!
//! Reports what stands where it must not, and what is missing. What the texts mean is for [`super::validate`].

use roxmltree::{Document, Node};

use super::error::{self, Collector, Reported, alternatives, quoted, tag};
use super::schema::{Dialect, ELEMENTS, ROOTS, Rule};
use super::suggest::{closest, hint};

/// A known element.
pub(super) struct Element<'d> {
    rule: &'static Rule,
    at: usize,
    attributes: Vec<Attribute<'d>>,
    children: Vec<Self>,
    /// What was spelt nearly right: not reported again as missing.
    misspelt: Vec<(&'static str, Reported)>,
}

/// A known attribute.
pub(super) struct Attribute<'d> {
    pub(super) name: &'static str,
    /// With references replaced and white space normalised.
    pub(super) value: &'d str,
    /// Byte offset of the value.
    pub(super) at: usize,
}

impl<'d> Element<'d> {
    /// Reads the whole document; the root element says in which dialect it is.
    pub(super) fn read(document: &'d Document<'d>, errors: &mut Collector<'_>) -> Result<(Dialect, Self), Reported> {
        let root = document.root_element();
        let name = root.tag_name().name();
        let Some((dialect, rule)) = Rule::root(name) else {
            let names = ROOTS.map(|(_, rule)| rule.name);
            let (wrong, hint) = (tag(name), hint(closest(name, names)));
            let what = format!("unknown root element {wrong}, expected {}{hint}", alternatives(&names.map(tag)));
            return Err(errors.report(root.range().start, what));
        };
        Ok((dialect, Self::read_node(root, rule, errors)))
    }

    fn read_node(node: Node<'d, 'd>, rule: &'static Rule, errors: &mut Collector<'_>) -> Self {
        let at = node.range().start;
        let mut element = Self { rule, at, attributes: Vec::new(), children: Vec::new(), misspelt: Vec::new() };
        element.read_attributes(node, errors);
        for child in node.children() {
            if child.is_element() {
                element.read_child(child, errors);
            } else if child.is_text() {
                element.refuse_text(child, errors);
            }
        }
        element.check_required(errors);
        element
    }

    fn read_attributes(&mut self, node: Node<'d, 'd>, errors: &mut Collector<'_>) {
        let inherited = node.parent().map_or(0, |parent| parent.namespaces().len());
        if node.namespaces().len() > inherited {
            errors.report(self.at, format!("xmlns in {}, expected no name spaces", tag(self.rule.name)));
        }
        for attribute in node.attributes() {
            let name = attribute.name();
            match self.rule.attribute(name) {
                Some((name, _)) if attribute.namespace().is_none() => {
                    let (value, at) = (attribute.value(), attribute.range_value().start);
                    self.attributes.push(Attribute { name, value, at });
                }
                Some(_) | None => self.refuse_attribute(name, attribute.range().start, errors),
            }
        }
    }

    fn refuse_attribute(&mut self, name: &str, at: usize, errors: &mut Collector<'_>) {
        let rule = self.rule;
        let known: Vec<&'static str> = rule.attributes.iter().map(|(name, _)| *name).collect();
        let near = closest(name, known.iter().copied());
        let hint = match rule.child(name) {
            Some(_) => format!("; did you mean the element {}?", tag(name)),
            None => hint(near),
        };
        let what = format!("unknown attribute {} of {}", quoted(name), tag(rule.name));
        let reported = errors.report(at, format!("{what}, expected {}{hint}", alternatives(&known)));
        self.misspelt.extend(near.map(|near| (near, reported)));
    }

    fn read_child(&mut self, node: Node<'d, 'd>, errors: &mut Collector<'_>) {
        let name = node.tag_name().name();
        let at = node.range().start;
        let Some(child) = self.rule.child(name) else {
            return self.refuse_child(name, at, errors);
        };
        if !child.may_repeat
            && let Some(first) = self.child(name)
        {
            let (line, what) = (errors.line(first.at), tag(name));
            errors.report(
                at,
                format!("a second {what} in {}, expected the one in line {line} only", tag(self.rule.name)),
            );
        }
        self.children.push(Self::read_node(node, child.rule, errors));
    }

    fn refuse_child(&mut self, name: &str, at: usize, errors: &mut Collector<'_>) {
        let rule = self.rule;
        let known: Vec<&'static str> = rule.children.iter().map(|child| child.rule.name).collect();
        let what = match ELEMENTS.iter().find(|(other, _)| other.name == name) {
            Some((_, parents)) => {
                let parent =
                    |name: &&str| Rule::root(name).map_or_else(|| tag(name), |_| String::from("the root element"));
                let parents: Vec<String> = parents.iter().map(parent).collect();
                format!("{} cannot be in {}, expected it in {}", tag(name), tag(rule.name), alternatives(&parents))
            }
            None => {
                let expected: Vec<String> = known.iter().map(|known| tag(known)).collect();
                format!("unknown element {} in {}, expected {}", tag(name), tag(rule.name), alternatives(&expected))
            }
        };
        let near = closest(name, known);
        let reported = errors.report(at, what + &hint(near));
        self.misspelt.extend(near.map(|near| (near, reported)));
    }

    fn refuse_text(&self, node: Node<'_, '_>, errors: &mut Collector<'_>) {
        let text = node.text().unwrap_or_default().trim();
        if !text.is_empty() {
            let raw = &node.document().input_text()[node.range()];
            let at = node.range().end - raw.trim_start().len();
            errors.report(at, format!("text {} in {}, expected elements only", quoted(text), tag(self.rule.name)));
        }
    }

    fn check_required(&mut self, errors: &mut Collector<'_>) {
        for child in self.rule.children.iter().filter(|child| child.is_required) {
            let name = child.rule.name;
            if self.child(name).is_none() && !self.misspelt.iter().any(|(near, _)| *near == name) {
                let form = form(child.rule);
                errors.report(self.at, format!("{} has no {}, expected at least one {form}", self.title(), tag(name)));
            }
        }
    }

    /// Byte offset of the element.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// `<group name="a">`, or without the name if it has none.
    fn title(&self) -> String {
        match self.attributes.iter().find(|attribute| attribute.name == "name") {
            Some(name) => format!("<{} name={}>", self.rule.name, quoted(name.value)),
            None => tag(self.rule.name),
        }
    }

    /// The elements of that name, in the order of the file.
    pub(super) fn children<'e>(&'e self, name: &'static str) -> impl Iterator<Item = &'e Self> {
        debug_assert!(self.rule.child(name).is_some(), "{name} is not in the vocabulary");
        self.children.iter().filter(move |child| child.rule.name == name)
    }

    /// The first element of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.rule.name == name)
    }

    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'d>> {
        debug_assert!(self.rule.attribute(name).is_some(), "{name} is not in the vocabulary");
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The attribute's value; `None` when it is left out.
    pub(super) fn optional<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        errors: &mut Collector<'_>,
    ) -> Result<Option<T>, Reported> {
        let Some(attribute) = self.attribute(name) else {
            let misspelt = self.misspelt.iter().find(|(near, _)| *near == name);
            return misspelt.map_or(Ok(None), |(_, reported)| Err(*reported));
        };
        match parse(attribute.value) {
            Ok(value) => Ok(Some(value)),
            Err(what) => {
                let said = error::attribute(self.rule.name, name, attribute.value);
                Err(errors.report(attribute.at, format!("{said}: {what}")))
            }
        }
    }

    /// The attribute's value; leaving it out is an error.
    pub(super) fn required<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        errors: &mut Collector<'_>,
    ) -> Result<T, Reported> {
        match self.optional(name, parse, errors)? {
            Some(value) => Ok(value),
            None => {
                let form = self.rule.attribute(name).map_or("", |(_, form)| form);
                let what = format!("{} has no {name}, expected {name}=\"{form}\"", self.title());
                Err(errors.report(self.at, what))
            }
        }
    }
}

/// How an element is written, with its first attribute.
fn form(rule: &Rule) -> String {
    let attribute = rule.attributes.first().map_or_else(String::new, |(name, form)| format!(" {name}=\"{form}\""));
    let end = if rule.children.is_empty() { "/>" } else { ">" };
    format!("<{}{attribute}{end}", rule.name)
}
