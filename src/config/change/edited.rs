//! Attributes of one thing as they would be after a change: what it has, and on top what is asked for.

use crate::config::attributes::Shown;
use crate::config::error::{alternatives, attribute, is_secret, quoted, shown as visible};
use crate::config::schema::Rule;
use crate::config::sockets::Texts;
use crate::config::suggest::{closest, hint};
use crate::model::change::{Attributes, Refusal};

/// Reads what a thing would be.
pub(super) struct Edited<'a> {
    element: &'static str,
    shown: Shown,
    asked: &'a Attributes,
}

impl<'a> Edited<'a> {
    /// The attributes that an element of this rule has, and what is asked for. `fixed` are those that the change says by
    /// other means.
    ///
    /// # Errors
    /// An attribute that the element does not have, or that is there twice.
    pub(super) fn new(rule: &Rule, fixed: &[&str], shown: Shown, asked: &'a Attributes) -> Result<Self, Refusal> {
        if let Some((name, _)) = asked.0.iter().find(|(name, _)| fixed.contains(&name.as_str())) {
            let problem = format!("{name} is among the attributes of <{}>, expected it apart from them", rule.name);
            return Err(Refusal::invalid(problem));
        }
        let names = rule.attributes.iter().map(|(name, _)| *name).filter(|name| !fixed.contains(name)).collect();
        Self::of(rule.name, names, shown, asked)
    }

    /// As [`Self::new`], for an element that changes know by other attributes.
    pub(super) fn of(
        element: &'static str,
        names: Vec<&'static str>,
        shown: Shown,
        asked: &'a Attributes,
    ) -> Result<Self, Refusal> {
        for (at, (name, _)) in asked.0.iter().enumerate() {
            if asked.0[..at].iter().any(|(before, _)| before == name) {
                return Err(Refusal::invalid(format!("{} is given twice, expected it once", quoted(name))));
            }
            if !names.contains(&name.as_str()) {
                let (known, hint) = (alternatives(&names), hint(closest(name, names.iter().copied())));
                let problem = format!("unknown attribute {} of <{element}>, expected {known}{hint}", quoted(name));
                return Err(Refusal::invalid(problem));
            }
        }
        Ok(Self { element, shown, asked })
    }

    /// What is asked for, for a sentence: `weight=3, max=10`.
    pub(super) fn told(element: &str, asked: &Attributes) -> String {
        let told = asked.0.iter().map(|(name, text)| match text.as_str() {
            "" if is_secret(element, name) => format!("{name} taken away"),
            "" => format!("{name} as usual"),
            _ if is_secret(element, name) => format!("another {name}"),
            text => format!("{name}={}", visible(text.trim())),
        });
        let told = told.collect::<Vec<_>>().join(", ");
        if told.is_empty() { String::from("nothing to change") } else { told }
    }

    /// As [`Texts::read`], of what cannot be left out: an empty text is read like any other.
    pub(super) fn need<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Refusal> {
        parse(self.text(name).unwrap_or_default()).map_err(|what| self.refusal(name, &what))
    }

    fn text(&self, name: &str) -> Option<&str> {
        let has = || self.shown.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        self.asked.get(name).or_else(has)
    }

    fn refusal(&self, name: &str, what: &str) -> Refusal {
        let said = attribute(self.element, name, self.text(name).unwrap_or_default());
        Refusal::invalid(format!("{said}: {what}"))
    }
}

impl Texts for Edited<'_> {
    type Error = Refusal;

    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        parse(text).map(Some).map_err(|what| self.refusal(name, &what))
    }
}
