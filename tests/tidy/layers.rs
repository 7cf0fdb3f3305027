//! Who may name whom.

use super::source::Source;

/// The modules at the top of the crate.
const MODULES: [&str; 11] =
    ["model", "config", "balancer", "sys", "wire", "reactor", "manager", "admin", "ctl", "instance", "daemon"];

/// What a file may name of the crate, itself left out; `None`: everything.
fn allowed(path: &str) -> Option<&'static [&'static str]> {
    let (module, rest) = module_of(path);
    match module {
        "model" => Some(&[]),
        "config" | "balancer" | "sys" | "wire" => Some(&["model"]),
        "reactor" => Some(&["balancer", "model", "sys", "wire"]),
        "manager" if is_shell(rest) => Some(&["config", "model", "sys", "wire"]),
        "manager" => Some(&["config", "model"]),
        "admin" => Some(&["config", "model", "sys"]),
        "ctl" => Some(&["admin", "config", "model"]),
        "instance" => Some(&["admin", "balancer", "config", "manager", "model", "reactor", "sys", "wire"]),
        _ => None,
    }
}

/// Whether a file of the manager is the thread around its brain.
pub(crate) fn is_shell(rest: &str) -> bool {
    let first = rest.split(['/', '.']).next().unwrap_or_default();
    ["run", "prober", "resolver"].contains(&first)
}

/// The top module of a path below `src`, and the rest of the path.
pub(crate) fn module_of(path: &str) -> (&str, &str) {
    let path = path.strip_prefix("src/").unwrap_or(path);
    path.split_once('/').unwrap_or_else(|| (path.trim_end_matches(".rs"), ""))
}

/// Every name that a lower layer has for a higher one.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let (own, _) = module_of(&source.path);
        let Some(allowed) = allowed(&source.path) else { continue };
        for (line, name) in named(source) {
            if name != own && MODULES.contains(&name.as_str()) && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}:{line}: {own} names {name}", source.path));
            }
        }
    }
    wrong
}

/// The top modules that a file names, with the lines.
fn named(source: &Source) -> Vec<(usize, String)> {
    let depth = depth_of(&source.path);
    let mut names = Vec::new();
    let mut prefixes = vec!["crate::".to_owned(), "director::".to_owned()];
    // From a module of this depth, so many steps up are the top of the crate; one more from a module inside the file.
    prefixes.extend([depth, depth + 1].map(|steps| "super::".repeat(steps)));
    for prefix in prefixes.iter().filter(|prefix| !prefix.is_empty()) {
        for (at, _) in source.code.match_indices(prefix.as_str()) {
            let before = source.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = source.code[..at].lines().count().max(1);
            let heads = heads(&source.code[at + prefix.len()..]);
            names.extend(heads.into_iter().map(|name| (line, name)));
        }
    }
    names
}

/// How many modules down a file is.
fn depth_of(path: &str) -> usize {
    let parts: Vec<&str> = path.strip_prefix("src/").unwrap_or(path).split('/').collect();
    let last = parts.last().copied().unwrap_or_default();
    parts.len() - usize::from(["mod.rs", "lib.rs", "main.rs"].contains(&last))
}

/// The first names of a path, or of each path of a group in braces.
fn heads(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let (mut depth, mut fresh, mut names) = (1, true, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            _ if fresh && !c.is_whitespace() => {
                names.push(name(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[test]
fn layer_table_broken_in_any_way_is_found() {
    for (path, text, count) in [
        ("src/balancer/mod.rs", "use crate::reactor::Token;", 1),
        ("src/balancer/scheduler/random.rs", "use crate::{model::id::HostId, sys};", 1),
        ("src/balancer/mod.rs", "fn f() { crate::manager::run() }", 1),
        ("src/config/xml.rs", "use super::super::balancer::Pool;", 1),
        ("src/manager/registry.rs", "use crate::{\n    model::id,\n    sys::socket,\n};", 1),
        ("src/model/id.rs", "use crate::config::Config; use crate::sys::x;", 2),
        ("src/reactor/tcp.rs", "use crate::admin;", 1),
    ] {
        assert_eq!(check(&[Source::new(path, text)]).len(), count, "{path}: {text}");
    }
}

#[test]
fn layer_table_kept_is_not_found_fault_with() {
    for (path, text) in [
        ("src/balancer/mod.rs", "use crate::model::id::HostId; // crate::reactor"),
        ("src/balancer/mod.rs", "mod tests { use super::*; use super::pool::Pool; }"),
        ("src/manager/run.rs", "use crate::{config::Config, manager::registry::Registry, model, sys};"),
        ("src/manager/registry.rs", "use super::health::Health; use crate::{config, model};"),
        ("src/reactor/tcp.rs", "use crate::{balancer, model, sys}; use crate::reactor::token;"),
        ("src/daemon/mod.rs", "use crate::{config, manager, reactor, sys};"),
        ("src/main.rs", "use director::daemon;"),
    ] {
        assert_eq!(check(&[Source::new(path, text)]), Vec::<String>::new(), "{path}: {text}");
    }
}
