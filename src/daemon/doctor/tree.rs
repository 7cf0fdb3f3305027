//! What the checks read, below a root that tests can choose. What cannot be read is `None` or left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::cards::Card;

/// `/proc` and `/sys` below this folder.
#[derive(Clone, Debug)]
pub(super) struct Tree(pub(super) PathBuf);

impl Tree {
    /// The text of a file.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.0.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A kernel parameter, by the name that sysctl(8) knows.
    pub(super) fn sysctl(&self, name: &str) -> Option<String> {
        self.read(Path::new("proc/sys").join(name.replace('.', "/")))
    }

    /// The frequency governors, one a processor.
    pub(super) fn governors(&self) -> Vec<String> {
        let cpus = self.names("sys/devices/system/cpu");
        cpus.iter()
            .filter_map(|cpu| self.read(format!("sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor")))
            .collect()
    }

    /// The network interfaces that have a device behind them.
    pub(super) fn cards(&self) -> Vec<Card> {
        self.names("sys/class/net").into_iter().filter_map(|name| self.card(name)).collect()
    }

    fn card(&self, name: String) -> Option<Card> {
        let folder = format!("sys/class/net/{name}");
        let target = fs::read_link(self.0.join(&folder).join("device")).ok()?;
        let device = target.file_name()?.to_string_lossy().into_owned();
        let queues = |kind: &str, file: &str| -> BTreeMap<String, String> {
            let names = self.names(format!("{folder}/queues")).into_iter().filter(|queue| queue.starts_with(kind));
            names
                .filter_map(|queue| Some((queue.clone(), self.read(format!("{folder}/queues/{queue}/{file}"))?)))
                .collect()
        };
        let node = self.read(format!("{folder}/device/numa_node")).unwrap_or_default();
        Some(Card { device, rps: queues("rx-", "rps_cpus"), xps: queues("tx-", "xps_cpus"), node, name })
    }

    /// The processors that may take this interrupt.
    pub(super) fn interrupt_cpus(&self, number: u32) -> Option<String> {
        self.read(format!("proc/irq/{number}/smp_affinity_list"))
    }

    /// Whether a process of this name runs.
    pub(super) fn runs(&self, program: &str) -> bool {
        let processes = self.names("proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
        processes.filter_map(|id| self.read(format!("proc/{id}/comm"))).any(|name| name.trim() == program)
    }

    /// The names in a folder, sorted.
    fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}
