//! Access lists: `{"name": …, "default": "deny", "rules": [{"permit": "10.0.0.0/8"}, {"deny": "::/0"}]}`.

use serde_json::Value;

use super::input::Object;
use super::tell::{created, done};
use super::{Call, Outcome, Step};
use crate::admin::http::Answer;
use crate::admin::json;
use crate::model::access::Verdict;
use crate::model::change::{AclTexts, Change, Refusal};
use crate::model::command::Command;

/// All of them, without their rules, which may be many.
pub(super) fn list(call: &Call) -> Outcome {
    Ok(Step::Answer(Answer::json(200, &json::acls(&call.config))))
}

pub(super) fn one(call: &Call) -> Outcome {
    let name = call.name(0);
    let found = call.config.acl(name);
    let acl = found.ok_or_else(|| Refusal::not_found(format!("there is no access list {name:?}")))?;
    Ok(Step::Answer(Answer::json(200, &json::acl(&call.config, acl))))
}

pub(super) fn add(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let change = Change::AddAcl { acl: object.need(&["name", "acl"])?, list: read_list(&mut object)? };
    object.end()?;
    Ok(Step::Ask(Command::Change(vec![change]), Box::new(created)))
}

/// Makes the list or replaces it, so that a program that keeps a list need not know which.
pub(super) fn put(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let acl = call.name(0).to_owned();
    // As it was read, it may be written back.
    for known in ["name", "used_by"] {
        object.take(known);
    }
    let list = read_list(&mut object)?;
    object.end()?;
    // If it comes or goes in this moment, the change is refused.
    let (change, tell): (_, fn(_) -> _) = match call.config.acl(&acl) {
        Some(_) => (Change::SetAcl { acl, list }, done),
        None => (Change::AddAcl { acl, list }, created),
    };
    Ok(Step::Ask(Command::Change(vec![change]), Box::new(tell)))
}

pub(super) fn remove(call: &Call) -> Outcome {
    let change = Change::RemoveAcl { acl: call.name(0).to_owned() };
    Ok(Step::Ask(Command::Change(vec![change]), Box::new(done)))
}

/// Takes `default` and `rules` out of an object.
pub(super) fn read_list(object: &mut Object) -> Result<AclTexts, Refusal> {
    let default = object.need(&["default"])?;
    let Some(Value::Array(rules)) = object.take("rules") else {
        return Err(Refusal::invalid("rules are no array, expected [{\"permit\": \"NETWORK\"}, …]"));
    };
    let wrong =
        |at: usize| Refusal::invalid(format!("rule {}: expected {{\"permit\" or \"deny\": \"NETWORK\"}}", at + 1));
    let rule = |(at, rule): (usize, Value)| {
        let Value::Object(map) = rule else { return Err(wrong(at)) };
        let mut pairs = map.into_iter();
        match (pairs.next(), pairs.next()) {
            (Some((verdict, Value::String(net))), None) if Verdict::from_name(&verdict).is_some() => Ok((verdict, net)),
            _ => Err(wrong(at)),
        }
    };
    Ok(AclTexts { default, rules: rules.into_iter().enumerate().map(rule).collect::<Result<_, _>>()? })
}
