//! Administrators.

use super::edited::Edited;
use super::{missing, refuse_taken};
use crate::config::error::quoted;
use crate::config::sockets::Texts;
use crate::config::{Access, Config, User, attributes, schema, value};
use crate::model::change::{Attributes, Refusal};

pub(super) fn add(config: &mut Config, user: &str, asked: &Attributes) -> Result<String, Refusal> {
    let taken = users(config).iter().any(|known| known.name == user);
    refuse_taken("user", user, taken, "the configuration")?;
    let user = read(vec![("name", user.to_owned())], &["name"], asked)?;
    let told = format!("user {} added, access={}", user.name, attributes::access(user.access));
    config.admin.get_or_insert_default().users.push(user);
    Ok(told)
}

pub(super) fn set(config: &mut Config, user: &str, asked: &Attributes) -> Result<String, Refusal> {
    let at = user_at(config, user)?;
    let after = read(attributes::user(&users(config)[at]), &[], asked)?;
    let taken = after.name != user && users(config).iter().any(|known| known.name == after.name);
    refuse_taken("user", &after.name, taken, "the configuration")?;
    refuse_locked_out(config, at, Some(&after))?;
    config.admin.get_or_insert_default().users[at] = after;
    Ok(format!("user {user}: {}", Edited::told("user", asked)))
}

pub(super) fn remove(config: &mut Config, user: &str) -> Result<String, Refusal> {
    let at = user_at(config, user)?;
    refuse_locked_out(config, at, None)?;
    config.admin.get_or_insert_default().users.remove(at);
    Ok(format!("user {user} removed"))
}

fn users(config: &Config) -> &[User] {
    config.admin.as_ref().map_or(&[], |admin| &admin.users)
}

fn user_at(config: &Config, user: &str) -> Result<usize, Refusal> {
    let users = users(config);
    let names = users.iter().map(|user| user.name.as_str());
    users.iter().position(|known| known.name == user).ok_or_else(|| missing("user", user, names, "the configuration"))
}

/// Refuses to take the last one away who may change anything.
fn refuse_locked_out(config: &Config, at: usize, after: Option<&User>) -> Result<(), Refusal> {
    let is_full = |user: &User| user.access == Access::Full;
    let others = users(config).iter().enumerate().filter(|(index, _)| *index != at).map(|(_, user)| user);
    if !is_full(&users(config)[at]) || others.chain(after).any(is_full) {
        return Ok(());
    }
    let name = quoted(&users(config)[at].name);
    Err(Refusal::conflict(format!("{name} is the last user with access=full, expected another one first")))
}

/// The user as he would be.
fn read(shown: attributes::Shown, fixed: &[&str], asked: &Attributes) -> Result<User, Refusal> {
    let mut texts = Edited::new(&schema::USER, fixed, shown, asked)?;
    let user = User {
        name: texts.need("name", value::name)?,
        password: texts.read("password", value::password)?,
        key: texts.read("key", value::public_key)?,
        access: texts.read("access", value::access)?.unwrap_or(Access::ReadOnly),
    };
    if user.password.is_none() && user.key.is_none() {
        return Err(Refusal::invalid("the user has neither password nor key, expected one of them"));
    }
    Ok(user)
}
