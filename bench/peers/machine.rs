//! The machine that the figures come from.

use std::fs;

/// The machine in a few lines of `name: value`.
pub(crate) fn lines() -> Vec<(&'static str, String)> {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let read =
        |path: &str| fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    vec![
        ("CPU", format!("{}, {cpus} to run on", field("/proc/cpuinfo", "model name").unwrap_or_default())),
        ("memory", memory.map_or_else(String::new, |kib| format!("{} MiB", kib / 1024))),
        ("kernel", format!("{} {}", read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease"))),
        ("congestion control", read("/proc/sys/net/ipv4/tcp_congestion_control")),
    ]
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
