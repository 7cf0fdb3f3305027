//! Administrators. Passwords come in clear and are hashed before anybody sees them, or as a hash.

use serde_json::json;

use super::changes::hashed;
use super::input::Object;
use super::tell::{created, done, refusal_json};
use super::{Call, Outcome, Step};
use crate::admin::auth::Secret;
use crate::admin::http::Answer;
use crate::admin::json;
use crate::model::change::{Attributes, Change, Refusal};
use crate::model::command::{Command, Reply};
use crate::model::limits::PASSWORD_BYTES_MAX;
use crate::model::snapshot::Snapshot;

/// Makes the change out of the attributes.
type Make = Box<dyn FnOnce(Attributes) -> Change + Send>;

pub(super) fn list(_: &Call) -> Outcome {
    Ok(Step::See(Box::new(|snapshot: &Snapshot| Answer::json(200, &json::users(&snapshot.users)))))
}

pub(super) fn one(call: &Call) -> Outcome {
    let name = call.name(0).to_owned();
    Ok(Step::See(Box::new(move |snapshot: &Snapshot| {
        let found = snapshot.users.iter().find(|user| user.name == name);
        let missing = || refusal_json(&Refusal::not_found(format!("there is no user {name:?}")));
        found.map_or_else(missing, |user| Answer::json(200, &json!(json::users(std::slice::from_ref(user))[0])))
    })))
}

/// `{"name": …, "password": … or "hash": …, "access": …, "key": …}`.
pub(super) fn add(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let user = object.need(&["name", "user"])?;
    check_name(&user)?;
    with_password(object, Box::new(|attributes| Change::AddUser { user, attributes }), created)
}

/// As [`add`], of an administrator that there is.
pub(super) fn set(call: &Call) -> Outcome {
    let user = call.name(0).to_owned();
    with_password(Object::of(call)?, Box::new(|attributes| Change::SetUser { user, attributes }), done)
}

pub(super) fn remove(call: &Call) -> Outcome {
    let change = Change::RemoveUser { user: call.name(0).to_owned() };
    Ok(Step::Ask(Command::Change(vec![change]), Box::new(done)))
}

fn with_password(mut object: Object, make: Make, tell: fn(Reply) -> Answer) -> Outcome {
    let (password, hash) = (object.text("password")?, object.text("hash")?);
    if password.is_some() && hash.is_some() {
        return Err(Refusal::invalid("password beside hash, expected one of them"));
    }
    let mut attributes = object.attributes()?;
    let ask = move |attributes| Step::Ask(Command::Change(vec![make(attributes)]), Box::new(tell));
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "the password is too long, expected at most {PASSWORD_BYTES_MAX} bytes"
            )));
        }
        let then = move |hash| {
            attributes.0.push((String::from("password"), hash));
            ask(attributes)
        };
        return Ok(Step::Hash(Secret(password.into_bytes()), Box::new(then)));
    }
    attributes.0.extend(hash.map(|hash| (String::from("password"), hash)));
    Ok(ask(hashed(attributes)?))
}

/// Refuses a name that `Authorization: Basic` cannot carry.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.contains(':') {
        return Err(Refusal::invalid(format!("the name {name:?} has a colon, with which nobody could log in")));
    }
    Ok(())
}
