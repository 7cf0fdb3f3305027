//! What there is to see, who is asking, and the balancer as a whole.

use serde_json::json;

use super::input::Object;
use super::tell::{done, seen};
use super::{Call, Outcome, Step, metrics};
use crate::admin::auth::Secret;
use crate::admin::http::{Answer, Arguments, Content};
use crate::admin::json;
use crate::config;
use crate::model::change::{Change, Refusal};
use crate::model::command::Command;
use crate::model::limits::WEB_FORM_BYTES_MAX;
use crate::model::snapshot::{ServiceView, Snapshot};
use crate::model::status::{AdminState, HostStatus};

/// The type of Prometheus's text format, version 0.0.4.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn status(_: &Call) -> Outcome {
    Ok(Step::See(Box::new(|snapshot: &Snapshot| Answer::json(200, &json::snapshot(snapshot)))))
}

/// Who asks, what he may do, and the token that his browser's changes need.
pub(super) fn whoami(call: &Call) -> Outcome {
    let who = call.who.as_ref();
    let refresh = call.config.admin.as_ref().and_then(|admin| admin.web.as_ref()?.refresh);
    Ok(Step::Answer(Answer::json(
        200,
        &json!({
            "user": who.map(|who| &who.name),
            "full": who.is_some_and(|who| who.full),
            "token": who.map(|who| &who.token),
            "refresh_ms": refresh.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }),
    )))
}

/// `user=…&password=…`, as the form sends it.
pub(super) fn login(call: &Call) -> Outcome {
    let bad = |why: &str| Refusal::invalid(format!("the form is malformed: {why}"));
    if call.body.len() > WEB_FORM_BYTES_MAX {
        return Err(bad("it is too long"));
    }
    let text = str::from_utf8(&call.body).map_err(|_| bad("it is no text"))?;
    let form = Arguments::read(text).map_err(|error| bad(error.why))?;
    let field = |name| form.get(name).ok_or_else(|| bad("user or password is missing"));
    let (user, password) = (field("user")?.to_owned(), Secret(field("password")?.as_bytes().to_vec()));
    Ok(Step::Login { user, password })
}

pub(super) fn logout(_: &Call) -> Outcome {
    Ok(Step::Logout)
}

/// The events after `?after=`.
pub(super) fn events(call: &Call) -> Outcome {
    let after = number(call, "after")?.unwrap_or(0);
    Ok(Step::Ask(Command::Events { after }, Box::new(seen)))
}

/// Snapshots and events from now on; those after `?after=` or the browser's `Last-Event-ID` first.
pub(super) fn stream(call: &Call) -> Outcome {
    let last = call.head.field("last-event-id").and_then(|id| id.parse().ok());
    Ok(Step::Follow(last.or(number(call, "after")?)))
}

fn number(call: &Call, name: &str) -> Result<Option<u64>, Refusal> {
    let read = |text: &str| text.parse().map_err(|_| Refusal::invalid(format!("{name}={text:?}: expected a number")));
    call.argument(name).filter(|text| !text.is_empty()).map(read).transpose()
}

/// How failed hosts are found and taken back.
pub(super) fn manager(call: &Call) -> Outcome {
    let manager = &call.config.manager;
    let time = |time| config::show_time(time);
    Ok(Step::Answer(Answer::json(
        200,
        &json!({
            "rise": manager.rise,
            "fall": manager.fall,
            "checktime": time(manager.checktime),
            "host-check": time(manager.host_check),
            "heartbeat": manager.heartbeat.map(time),
            "config-check": manager.config_check.map(time),
        }),
    )))
}

pub(super) fn set_manager(call: &Call) -> Outcome {
    let attributes = Object::of(call)?.attributes()?;
    Ok(Step::Ask(Command::Change(vec![Change::SetManager { attributes }]), Box::new(done)))
}

/// `{"level": "debug"}`, `{"reopen": true}` or `{"file": …}`.
pub(super) fn log(call: &Call) -> Outcome {
    let mut object = Object::of(call)?;
    let (level, reopen, file) = (object.text("level")?, object.text("reopen")?, object.text("file")?);
    object.end()?;
    let command = match (level, reopen.as_deref(), file) {
        (Some(level), None, None) => Command::LogLevel(level),
        (None, Some("true"), None) => Command::ReopenLog,
        (None, None, Some(file)) => {
            Command::Change(vec![Change::SetLog { file: Some(file).filter(|file| !file.is_empty()) }])
        }
        _ => return Err(Refusal::invalid("expected one of {\"level\": …}, {\"reopen\": true} and {\"file\": …}")),
    };
    Ok(Step::Ask(command, Box::new(done)))
}

/// `?wait=30s`: for how long connections may finish.
pub(super) fn shutdown(call: &Call) -> Outcome {
    let read = |text| config::time(text).map_err(|why| Refusal::invalid(format!("wait={text:?}: {why}")));
    let wait = call.argument("wait").filter(|text| !text.is_empty()).map(read).transpose()?;
    Ok(Step::Ask(Command::Shutdown { wait }, Box::new(done)))
}

pub(super) fn metrics(_: &Call) -> Outcome {
    Ok(Step::See(Box::new(|snapshot: &Snapshot| {
        Answer::new(200, METRICS, Content::Owned(metrics::text(snapshot).into_bytes()))
    })))
}

/// Whether the process and its manager answer.
pub(super) fn health(_: &Call) -> Outcome {
    Ok(Step::See(Box::new(|_: &Snapshot| Answer::text(200, "ok\n"))))
}

/// Whether every service that serves has a host to serve with.
pub(super) fn readiness(_: &Call) -> Outcome {
    Ok(Step::See(Box::new(|snapshot: &Snapshot| {
        let empty = snapshot.services.iter().filter(|service| serves_nobody(service)).count();
        match (snapshot.draining, empty) {
            (true, _) => Answer::text(503, "shutting down\n"),
            (false, 0) => Answer::text(200, "ready\n"),
            (false, _) => Answer::text(503, format!("not ready: {empty} of {} services\n", snapshot.services.len())),
        }
    })))
}

fn serves_nobody(service: &ServiceView) -> bool {
    let mut serving = service.groups.iter().filter(|group| group.enabled).peekable();
    serving.peek().is_some()
        && !serving.flat_map(|group| &group.hosts).any(|host| {
            host.status == HostStatus::Up && host.admin == AdminState::Up && host.weight > 0 && host.addr.is_some()
        })
}
