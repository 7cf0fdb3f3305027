//! What is kept, what is changed, and that the result is always right.

mod examples;
mod kept;
mod properties;

use super::children::Detail;
use super::{attempt, is, rewrite};
use crate::config::{Address, Config, Group, GroupPolicy, Host, Listen, Service, parse};
use crate::model::scheduler::SchedulerKind;
use crate::model::socket_options::ConnectOptions;
use crate::model::sticky::StickyRules;

const DIRECTOR: &str = include_str!("../../../../conf/director.xml");
const MINIMAL: &str = include_str!("../../../../conf/minimal.xml");
const PDCONFIG: &str = include_str!("../../../../conf/pythondirector.xml");
const TXLB: &str = include_str!("../../../../conf/txloadbalancer.xml");

/// The text after a change of the configuration, which no net had to catch, and which can be changed back.
#[track_caller]
fn after(text: &str, change: impl Fn(&mut Config)) -> String {
    let old = parse(text, "f").unwrap_or_else(|errors| panic!("{errors}"));
    let mut new = old.clone();
    change(&mut new);
    let result = attempt(Detail::Attributes, text, &old, &new).unwrap();
    assert!(is(&result, &new), "{result}\n{new:#?}");
    assert_eq!(rewrite(text, &new), result);
    let back = rewrite(&result, &old);
    assert!(is(&back, &old), "{back}");
    result
}

/// Which lines a change of the configuration changes, also in a file of Windows.
#[track_caller]
fn changed(text: &str, change: impl Fn(&mut Config)) -> String {
    let result = after(text, &change);
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(after(&windows(text), &change), windows(&result));
    diff(text, &result)
}

/// A host that says no more than this.
fn host(name: &str, address: &str) -> Host {
    let mut config = parse(MINIMAL, "f").unwrap();
    let address = Address::Socket(address.parse().unwrap());
    Host { name: name.into(), address, ..config.services[0].groups[0].hosts.remove(0) }
}

/// Has the group at this place serve.
fn enable(service: &mut Service, index: usize) {
    let group = |n| format!("<group name='{n}'><host ip='h:2'/></group>");
    let groups: String = (0..=index).map(group).collect();
    let file = format!("<service name='s'><listen ip='*:1'/>{groups}<enable group='{index}'/></service>");
    service.enabled = parse(&format!("<director>{file}</director>"), "f").unwrap().services[0].enabled;
}

/// A service with a listener, a group and a host.
fn service(name: &str) -> Service {
    let (scheduler, hosts) = (SchedulerKind::Random, vec![host("a & b", "10.8.8.8:8")]);
    let (sticky, connect) = (StickyRules::default(), ConnectOptions::default());
    let policy = GroupPolicy::default();
    let group = Group { name: "main".into(), scheduler, sticky, policy, check: None, connect, hosts };
    let mut config = parse(MINIMAL, "f").unwrap();
    let listens = vec![Listen::from(Address::Socket("10.1.1.1:81".parse().unwrap()))];
    Service { name: name.into(), listens, groups: vec![group], ..config.services.remove(0) }
}

/// The lines that differ: those that are only in the old text with `-`, those only in the new one with `+`.
fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // How many lines the rests from here have in common, at best.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let best = common[i + 1][j].max(common[i][j + 1]);
            common[i][j] = if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { best };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines.join("\n")
}
