//! The manager's timings and the log.

use super::edited::Edited;
use crate::config::error::quoted;
use crate::config::sockets::Texts;
use crate::config::{Config, Manager, attributes, value};
use crate::model::change::{Attributes, Refusal};
use crate::model::limits::HOST_CHECK;

pub(super) fn manager(config: &mut Config, asked: &Attributes) -> Result<String, Refusal> {
    let shown = attributes::manager(&config.manager);
    let mut texts = Edited::of("manager", attributes::MANAGER.to_vec(), shown, asked)?;
    config.manager = Manager {
        rise: texts.read("rise", value::count)?.unwrap_or(1),
        fall: texts.read("fall", value::count)?.unwrap_or(1),
        checktime: texts.read("checktime", value::time)?.unwrap_or_default(),
        host_check: texts.read("host-check", value::positive_time)?.unwrap_or(HOST_CHECK),
        heartbeat: texts.read("heartbeat", value::positive_time)?,
        config_check: texts.read("config-check", value::positive_time)?,
    };
    Ok(format!("manager: {}", Edited::told("manager", asked)))
}

pub(super) fn log(config: &mut Config, file: Option<&str>) -> Result<String, Refusal> {
    let refusal = |what, file| Refusal::invalid(format!("file={}: {what}", quoted(file)));
    config.log_file = file.map(|file| value::path(file).map_err(|what| refusal(what, file))).transpose()?;
    Ok(format!("the log goes to {}", file.unwrap_or("standard error")))
}
