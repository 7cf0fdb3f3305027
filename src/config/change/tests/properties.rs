//! Whatever changes make is a valid file.

use proptest::prelude::*;

use super::access::list;
use super::attributes;
use crate::config::tests::arbitrary;
use crate::config::{Config, apply, parse, write};
use crate::model::change::{Attributes, Change, GroupRef, HostRef};

/// A change that may fit the configuration or not.
fn any_change() -> impl Strategy<Value = (usize, usize, usize, usize, String)> {
    (0..24_usize, 0..4_usize, 0..4_usize, 0..5_usize, "[a-z0-9:. ,\"<&\n\u{fffe}é]{0,12}")
}

fn change_of(config: &Config, (kind, s, g, h, text): (usize, usize, usize, usize, String)) -> Change {
    let service = &config.services[s % config.services.len()];
    let group = service.groups.get(g % service.groups.len().max(1));
    let group_ref = GroupRef { service: service.name.clone(), group: group.map_or("x", |group| &group.name).into() };
    let host = group.and_then(|group| group.hosts.get(h)).map_or("nobody".to_owned(), |host| host.name.clone());
    let host = HostRef { service: service.name.clone(), group: Some(group_ref.group.clone()), host };
    let (service, listen) = (service.name.clone(), service.listens[h % service.listens.len()].address.to_string());
    let some = |name: &str| attributes(&[(name, text.as_str())]);
    match kind {
        0 => Change::AddService { service: text.clone(), listen: "*:21000".into(), attributes: Attributes::default() },
        1 => Change::SetService { service, attributes: some("name") },
        2 => Change::AddListener { service, listen: format!("*:{}", 20_000 + h), attributes: Attributes::default() },
        3 => Change::RemoveListener { service, listen },
        4 => Change::AddGroup { group: GroupRef { service, group: text.clone() }, attributes: Attributes::default() },
        5 => Change::SetGroup { group: group_ref, attributes: some("name") },
        6 => Change::RemoveGroup { group: group_ref },
        7 => Change::EnableGroup { group: group_ref },
        8 => Change::AddHost {
            group: group_ref,
            host: None,
            address: format!("10.9.9.{h}:22000"),
            attributes: some("weight"),
        },
        9 => Change::SetHost { host, attributes: some("name") },
        10 => Change::SetHost { host, attributes: some("ip") },
        11 => Change::RemoveHost { host },
        12 => Change::RemoveAllHosts { group: group_ref },
        13 => Change::RemoveService { service },
        14 => Change::SetListener { service, listen, attributes: attributes(&[("ip", &format!("*:{}", 20_005 + g))]) },
        15 => Change::AddUser { user: text.clone(), attributes: attributes(&[("password", &text)]) },
        16 => Change::SetUser { user: format!("{text}0"), attributes: some("name") },
        17 => Change::RemoveUser { user: text },
        18 => Change::SetLog { file: Some(text) },
        19 => Change::AddAcl { acl: text.clone(), list: list("deny", &[("permit", &text)]) },
        20 => Change::SetAcl { acl: "lan".into(), list: list("permit", &[("deny", "10.0.0.0/8")]) },
        21 => Change::RemoveAcl { acl: "lan".into() },
        22 => Change::SetHost { host, attributes: attributes(&[("acl", "lan")]) },
        _ => Change::SetManager { attributes: some("rise") },
    }
}

proptest! {
    #[test]
    fn whatever_changes_leave_is_a_valid_file_or_lacks_hosts_only(
        config in arbitrary::config(),
        changes in prop::collection::vec(any_change(), 1..12),
    ) {
        let mut config = config;
        for change in changes {
            let before = config.clone();
            let change = change_of(&config, change);
            if apply(&mut config, &change).is_err() {
                prop_assert_eq!(&config, &before, "refused, and changed all the same: {:?}", change);
            }
            for service in &config.services {
                let serving = service.enabled.map(|at| &service.groups[at]);
                prop_assert!(serving.is_none_or(|group| !group.hosts.is_empty()), "{:?}", change);
            }
        }
        let is_whole = |config: &Config| config.services.iter().all(|service| {
            service.enabled.is_some() && service.groups.iter().all(|group| !group.hosts.is_empty())
        });
        if is_whole(&config) {
            prop_assert_eq!(parse(&write(&config), "f"), Ok(config));
        }
    }
}
