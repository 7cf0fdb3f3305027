//! Who may come in, and where it is written down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::path;
use crate::config::{AccessLog, Acl, Entrance, LineFormat, LogTarget, StatusFile};
use crate::model::access::{Net, Rule, Verdict, masked};
use crate::model::clients::{ClientLimits, ClientRoom};
use crate::model::limits::{CLIENT_RATE_MAX, CLIENTS_MAX};
use crate::model::proxy::{Expect, Versions};
use crate::model::service::Fastclose;

pub(super) fn access_log() -> impl Strategy<Value = AccessLog> {
    let addr = || {
        (any::<Ipv4Addr>(), 1..=u16::MAX)
            .prop_filter_map("an address", |(ip, port)| (!ip.is_unspecified()).then(|| SocketAddr::from((ip, port))))
    };
    let to = prop_oneof![
        path().prop_map(LogTarget::File),
        "/[a-z/]{1,40}".prop_map(|path| LogTarget::SyslogSocket(path.into())),
        addr().prop_map(LogTarget::Syslog),
        addr().prop_map(LogTarget::Udp),
    ];
    let format = select(&[LineFormat::Text, LineFormat::Json][..]);
    let parts = (to, format, any::<bool>(), of(seconds()));
    parts.prop_map(|(to, format, start, every)| AccessLog { to, format, start, every })
}

pub(super) fn status() -> impl Strategy<Value = StatusFile> {
    (path(), of(seconds())).prop_map(|(file, interval)| StatusFile { file, interval })
}

pub(super) fn seconds() -> impl Strategy<Value = Duration> {
    (1..10_000_u64).prop_map(Duration::from_secs)
}

/// Lists of these names, so that parts of one configuration fit into another one.
pub(super) fn acls() -> impl Strategy<Value = Vec<Acl>> {
    let acl = |name: &'static str| {
        let rule = (verdict(), net()).prop_map(|(verdict, net)| Rule { verdict, net });
        let parts = (verdict(), vec(rule, 0..6));
        parts.prop_map(move |(default, rules)| Acl { name: name.into(), default, rules })
    };
    (acl("lan"), acl("a <list>")).prop_map(|(one, other)| vec![one, other])
}

pub(super) fn acl_name() -> impl Strategy<Value = Option<String>> {
    of(select(&["lan", "a <list>"][..]).prop_map(String::from))
}

pub(super) fn verdict() -> impl Strategy<Value = Verdict> {
    select(&[Verdict::Permit, Verdict::Deny][..])
}

pub(super) fn net() -> impl Strategy<Value = Net> {
    let v4 = (any::<Ipv4Addr>(), 0..=32_u8).prop_map(|(ip, prefix)| (IpAddr::V4(ip), prefix));
    let v6 = (any::<Ipv6Addr>(), 0..=128_u8).prop_map(|(ip, prefix)| (IpAddr::V6(ip), prefix));
    prop_oneof![v4, v6].prop_map(|(ip, prefix)| Net::new(masked(ip, prefix), prefix).unwrap())
}

pub(super) fn entrance() -> impl Strategy<Value = Entrance> {
    let limits = (of(1..=u32::MAX), of(1..=CLIENT_RATE_MAX)).prop_map(|(max, rate)| ClientLimits { max, rate });
    let room = (prop_oneof![Just(32), 0..=32_u8], prop_oneof![Just(64), 0..=128_u8], 1..=CLIENTS_MAX);
    let room = room.prop_map(|(prefix_v4, prefix_v6, clients)| ClientRoom { prefix_v4, prefix_v6, clients });
    let parts = (acl_name(), limits, room, select(&Fastclose::ALL[..]));
    parts.prop_map(|(acl, limits, room, fastclose)| Entrance { acl, limits, room, fastclose })
}

pub(super) fn expect() -> impl Strategy<Value = Expect> {
    let versions = select(&[Versions::V1, Versions::V2, Versions::Any][..]);
    (versions, vec(net(), 1..4)).prop_map(|(versions, from)| Expect { versions, from })
}
