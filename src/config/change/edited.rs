//! Attributes of one thing as they would be after a change: what it has, and on top what is asked for.

use crate::config::attributes::Shown;
use crate::config::error::{alternatives, quoted};
use crate::config::schema::Rule;
use crate::config::sockets::Texts;
use crate::config::suggest::{closest, hint};
use crate::model::change::{Attributes, Refusal};

/// Reads what a thing would be.
pub(super) struct Edited<'a> {
    shown: Shown,
    asked: &'a Attributes,
}

impl<'a> Edited<'a> {
    /// The attributes that an element of this rule has, and what is asked for. `fixed` are those that a change may not
    /// name.
    ///
    /// # Errors
    /// An attribute that the element does not have.
    pub(super) fn new(rule: &Rule, fixed: &[&str], shown: Shown, asked: &'a Attributes) -> Result<Self, Refusal> {
        let names = rule.attributes.iter().map(|(name, _)| *name).filter(|name| !fixed.contains(name)).collect();
        Self::of(names, &format!("<{}>", rule.name), shown, asked)
    }

    /// As [`Self::new`], for what is no element.
    pub(super) fn of(
        names: Vec<&'static str>,
        what: &str,
        shown: Shown,
        asked: &'a Attributes,
    ) -> Result<Self, Refusal> {
        for (name, _) in &asked.0 {
            if !names.contains(&name.as_str()) {
                let (known, hint) = (alternatives(&names), hint(closest(name, names.iter().copied())));
                let problem = format!("unknown attribute {} of {what}, expected {known}{hint}", quoted(name));
                return Err(Refusal::invalid(problem));
            }
        }
        Ok(Self { shown, asked })
    }

    /// What is asked for, for a sentence: `weight=3, max=10`.
    pub(super) fn told(asked: &Attributes) -> String {
        let told = asked.0.iter().map(|(name, text)| match text.as_str() {
            "" => format!("{name} as usual"),
            _ if name == "password" => String::from("another password"),
            text => format!("{name}={text}"),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// As [`Texts::read`]; without it, a refusal.
    pub(super) fn need<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Refusal> {
        self.read(name, parse)?.ok_or_else(|| Refusal::invalid(format!("{name} cannot be taken away")))
    }
}

impl Texts for Edited<'_> {
    type Error = Refusal;

    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        let has = || self.shown.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        let Some(text) = self.asked.get(name).or_else(has).filter(|text| !text.is_empty()) else { return Ok(None) };
        parse(text).map(Some).map_err(|what| Refusal::invalid(format!("{name}={}: {what}", quoted(text))))
    }
}
