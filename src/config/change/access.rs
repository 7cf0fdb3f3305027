//! Access lists. A list is replaced whole: at no moment does a client meet half of one.

use super::{missing, refuse_taken};
use crate::config::access::{Acl, missing_acl};
use crate::config::error::{alternatives, quoted};
use crate::config::{Config, value};
use crate::model::access::Rule;
use crate::model::change::{AclTexts, Refusal};

pub(super) fn add(config: &mut Config, acl: &str, texts: &AclTexts) -> Result<String, Refusal> {
    let name = value::name(acl).map_err(|what| Refusal::invalid(format!("access list {}: {what}", quoted(acl))))?;
    refuse_taken("access list", &name, config.acl(&name).is_some(), "the configuration")?;
    let acl = read(name, texts)?;
    let told = format!("access list {} added: {}", acl.name, told(&acl));
    config.acls.push(acl);
    Ok(told)
}

pub(super) fn set(config: &mut Config, acl: &str, texts: &AclTexts) -> Result<String, Refusal> {
    let at = acl_at(config, acl)?;
    config.acls[at] = read(acl.to_owned(), texts)?;
    Ok(format!("access list {acl}: {}", told(&config.acls[at])))
}

pub(super) fn remove(config: &mut Config, acl: &str) -> Result<String, Refusal> {
    let at = acl_at(config, acl)?;
    let users = config.users_of(acl);
    if !users.is_empty() {
        let what = format!("{} is used by {}, expected another list there first", quoted(acl), alternatives(&users));
        return Err(Refusal::conflict(what));
    }
    config.acls.remove(at);
    Ok(format!("access list {acl} removed"))
}

/// Refuses a list that is not there.
pub(super) fn refuse_missing(config: &Config, acl: Option<&str>) -> Result<(), Refusal> {
    let names = config.acls.iter().map(|acl| acl.name.as_str());
    match acl.and_then(|acl| missing_acl(acl, names)) {
        Some(what) => Err(Refusal::invalid(format!("acl={}: {what}", quoted(acl.unwrap_or_default())))),
        None => Ok(()),
    }
}

fn acl_at(config: &Config, acl: &str) -> Result<usize, Refusal> {
    let names = config.acls.iter().map(|acl| acl.name.as_str());
    let found = config.acls.iter().position(|known| known.name == acl);
    found.ok_or_else(|| missing("access list", acl, names, "the configuration"))
}

fn read(name: String, texts: &AclTexts) -> Result<Acl, Refusal> {
    let default = value::verdict(&texts.default)
        .map_err(|what| Refusal::invalid(format!("default={}: {what}", quoted(&texts.default))))?;
    let rules = texts.rules.iter().map(|(verdict, net)| {
        let invalid = |text: &String, what: String| Refusal::invalid(format!("{}: {what}", quoted(text)));
        Ok(Rule {
            verdict: value::verdict(verdict).map_err(|what| invalid(verdict, what))?,
            net: value::net(net).map_err(|what| invalid(net, what))?,
        })
    });
    Ok(Acl { name, default, rules: rules.collect::<Result<_, Refusal>>()? })
}

fn told(acl: &Acl) -> String {
    let count = acl.rules.len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} rule{plural}, default {}", acl.default.name())
}
