//! Access lists, and who may come in: what the configuration says, and how a service's attributes say it.
//!
//! As with options of sockets, files and changes read through [`Texts`], so that a value is right or wrong for the same
//! reason in both.

use super::attributes::{Shown, given, unless};
use super::sockets::Texts;
use super::value;
use super::{Config, error, suggest};
use crate::model::access::{Net, Rule, Verdict};
use crate::model::change::AclTexts;
use crate::model::clients::{ClientLimits, ClientRoom};
use crate::model::limits::{CLIENT_PREFIX_V6, CLIENTS};
use crate::model::proxy::{Expect, Versions};
use crate::model::service::Fastclose;

/// An access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Unique.
    pub name: String,
    /// What it says of whom no rule is about.
    pub default: Verdict,
    /// The first one that a client's address is in decides.
    pub rules: Vec<Rule>,
}

impl Acl {
    /// The same as texts.
    #[must_use]
    pub fn texts(&self) -> AclTexts {
        let text = |rule: &Rule| (rule.verdict.name().to_owned(), rule.net.to_string());
        AclTexts { default: self.default.name().to_owned(), rules: self.rules.iter().map(text).collect() }
    }
}

/// Who may come to a service, and how connections end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The access list of its clients; none: all may come.
    pub acl: Option<String>,
    /// How much a client may have.
    pub limits: ClientLimits,
    /// Which clients are one, and how many are known.
    pub room: ClientRoom,
    /// Which end of stream closes the connection as a whole.
    pub fastclose: Fastclose,
}

/// Where clients are told apart by their addresses, and IPv6 clients by their networks.
pub(super) const ROOM: ClientRoom = ClientRoom { prefix_v4: 32, prefix_v6: CLIENT_PREFIX_V6, clients: CLIENTS };

/// All may come, and have as much as there is.
impl Default for Entrance {
    fn default() -> Self {
        Self { acl: None, limits: ClientLimits::default(), room: ROOM, fastclose: Fastclose::Off }
    }
}

/// Reads who may come. All texts are looked at, whatever is wrong with the first.
pub(super) fn entrance<S: Texts>(texts: &mut S) -> Result<Entrance, S::Error> {
    let acl = texts.read("acl", value::name);
    let max = texts.read("client-max", value::count);
    let rate = texts.read("client-rate", value::client_rate);
    let prefix_v4 = texts.read("client-prefix-v4", |text| value::prefix(text, 32));
    let prefix_v6 = texts.read("client-prefix-v6", |text| value::prefix(text, 128));
    let clients = texts.read("client-table", value::client_table);
    let fastclose = texts.read("fastclose", value::fastclose);
    let room = ClientRoom {
        prefix_v4: prefix_v4?.unwrap_or(ROOM.prefix_v4),
        prefix_v6: prefix_v6?.unwrap_or(ROOM.prefix_v6),
        clients: clients?.unwrap_or(ROOM.clients),
    };
    let limits = ClientLimits { max: max?, rate: rate? };
    Ok(Entrance { acl: acl?, limits, room, fastclose: fastclose?.unwrap_or_default() })
}

/// What a service says of it, each with its name, as it is read.
pub(super) fn shown_entrance(entrance: &Entrance) -> Shown {
    let Entrance { acl, limits, room, fastclose } = entrance;
    given([
        ("acl", acl.clone()),
        ("client-max", limits.max.map(|max| max.to_string())),
        ("client-rate", limits.rate.map(|rate| rate.to_string())),
        ("client-prefix-v4", unless(room.prefix_v4, ROOM.prefix_v4).map(|prefix| prefix.to_string())),
        ("client-prefix-v6", unless(room.prefix_v6, ROOM.prefix_v6).map(|prefix| prefix.to_string())),
        ("client-table", unless(room.clients, ROOM.clients).map(|clients| clients.to_string())),
        ("fastclose", unless(*fastclose, Fastclose::Off).map(|fastclose| fastclose.name().to_owned())),
    ])
}

/// The PROXY headers that a listener expects.
///
/// # Errors
/// The attribute that is there alone, and what is wrong with that.
pub(super) fn expect(
    versions: Option<Versions>,
    from: Option<Vec<Net>>,
) -> Result<Option<Expect>, (&'static str, &'static str)> {
    match (versions, from) {
        (None, None) => Ok(None),
        (Some(versions), Some(from)) => Ok(Some(Expect { versions, from })),
        (Some(_), None) => {
            Err(("proxy", "proxy without proxy-from, expected beside it the networks whose headers are believed"))
        }
        (None, Some(_)) => Err(("proxy-from", "proxy-from without proxy, expected proxy=\"v1|v2|any\" beside it")),
    }
}

/// What is wrong with naming this list, if it is none of those that there are.
pub(super) fn missing_acl<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
    if known.clone().any(|known| known == name) {
        return None;
    }
    let hint = suggest::hint(suggest::closest(name, known));
    Some(format!("the configuration has no access list {}, expected <acl name=\"NAME\">{hint}", error::quoted(name)))
}

impl Config {
    /// The access list of that name.
    #[must_use]
    pub fn acl(&self, name: &str) -> Option<&Acl> {
        self.acls.iter().find(|acl| acl.name == name)
    }

    /// Who uses the access list of that name, in words.
    #[must_use]
    pub fn users_of(&self, acl: &str) -> Vec<String> {
        self.acl_users().filter(|(name, _)| *name == acl).map(|(_, user)| user).collect()
    }

    /// Where each access list is used: its name, and the user in words.
    fn acl_users(&self) -> impl Iterator<Item = (&str, String)> {
        let services = self.services.iter().flat_map(|service| {
            let own = service.entrance.acl.as_deref().map(|acl| (acl, format!("service {}", service.name)));
            let hosts = service.groups.iter().flat_map(move |group| {
                let place = format!("host {}/{}", service.name, group.name);
                let hosts = group.hosts.iter().filter_map(|host| Some((host.acl.as_deref()?, &host.name)));
                hosts.map(move |(acl, host)| (acl, format!("{place}/{host}")))
            });
            own.into_iter().chain(hosts)
        });
        let web = self.admin.iter().filter_map(|admin| admin.web.as_ref());
        services.chain(web.filter_map(|web| Some((web.acl.as_deref()?, String::from("the administration page")))))
    }
}
