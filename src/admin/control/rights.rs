//! Who asks, and what they may.

use std::net::SocketAddr;

use crate::config::{Access, Config};
use crate::model::change::Change;
use crate::model::command::{Origin, Reply};
use crate::sys::unix::{self, Peer};

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    /// The system's user, or the administrator that is spoken for.
    who: String,
    from: String,
    /// Root, or the balancer's own user.
    is_own: bool,
    /// Spoken for since `as`.
    user: Option<String>,
}

/// What somebody may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Look and change.
    Full,
    /// Look.
    ReadOnly,
    /// Nothing.
    None,
}

impl Principal {
    /// Who that is.
    ///
    /// # Errors
    /// They may not use this socket.
    pub(super) fn of(peer: &Peer, group: Option<u32>) -> Result<Self, String> {
        let is_own = peer.uid == 0 || peer.uid == unix::own_user();
        let who = unix::account(peer.uid).map_or_else(|| format!("uid {}", peer.uid), |account| account.name);
        if is_own || group.is_some_and(|group| peer.is_in(group)) {
            return Ok(Self { who, from: format!("control pid {}", peer.pid), is_own, user: None });
        }
        Err(format!("{who} may not use this socket, expected root, the balancer's own user or a member of its group"))
    }

    /// Speaks for an administrator from now on, who came over SSH from `client`.
    ///
    /// Both are believed to whom they could not give more rights than he has: root and the balancer's own user may do
    /// everything. Who comes over SSH is bound to a command that says them for him, and has no word to say them again.
    ///
    /// # Errors
    /// That is not allowed, or there is no such administrator.
    pub(super) fn speak_for(
        &mut self,
        config: &Config,
        user: &str,
        client: Option<SocketAddr>,
    ) -> Result<(), (&'static str, String)> {
        if !self.is_own || self.user.is_some() {
            return Err(("denied", String::from("as: for root and the balancer's own user, and once")));
        }
        if access(config, user).is_none() {
            return Err(("not-found", format!("the configuration has no user {user:?}")));
        }
        user.clone_into(&mut self.who);
        self.user = Some(user.to_owned());
        if let Some(client) = client {
            self.from = format!("ssh {client}");
        }
        Ok(())
    }

    /// What they may do.
    pub(super) fn rights(&self, config: &Config) -> Rights {
        let Some(user) = &self.user else { return Rights::Full };
        match access(config, user) {
            Some(Access::Full) => Rights::Full,
            Some(Access::ReadOnly) => Rights::ReadOnly,
            None => Rights::None,
        }
    }

    /// For the log.
    pub(super) fn origin(&self) -> Origin {
        Origin::new(self.who.clone(), self.from.clone())
    }
}

fn access(config: &Config, user: &str) -> Option<Access> {
    let users = config.admin.iter().flat_map(|admin| &admin.users);
    users.into_iter().find(|known| known.name == user).map(|known| known.access)
}

/// Takes the hashes of passwords out of what somebody sees who may only look.
pub(super) fn without_secrets(reply: Reply) -> Reply {
    match reply {
        Reply::Text(text) => Reply::Text(masked(&text)),
        Reply::Differences(mut differences) => {
            differences.iter_mut().filter_map(|difference| difference.change.as_mut()).for_each(mask);
            Reply::Differences(differences)
        }
        other => other,
    }
}

fn mask(change: &mut Change) {
    if let Change::AddUser { attributes, .. } | Change::SetUser { attributes, .. } = change {
        let passwords = attributes.0.iter_mut().filter(|(name, text)| name == "password" && !text.is_empty());
        passwords.for_each(|(_, text)| *text = String::from(HIDDEN));
    }
}

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";

/// The attribute as the writer of configurations writes it: a quote within its text is written otherwise.
const PASSWORD: &str = " password=\"";

fn masked(text: &str) -> String {
    let mut parts = text.split(PASSWORD);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_, rest)| rest);
        masked.push_str(&format!("{PASSWORD}{HIDDEN}\"{rest}"));
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = "<director><service name='s'><listen ip='*:80'/><group name='g'><host ip='10.0.0.1:80'/></group>
            </service><admin><user name='a' password='$6$x' access='full'/>
            <user name='b' password='$6$y' access='readonly'/></admin></director>";
        crate::config::parse(text, "f").unwrap()
    }

    fn peer(uid: u32, groups: &[u32]) -> Peer {
        Peer { pid: 7, uid, gid: uid, groups: groups.to_vec() }
    }

    #[test]
    fn stranger_is_refused_and_a_member_is_not() {
        let own = unix::own_user();
        assert!(Principal::of(&peer(0, &[]), None).is_ok());
        assert!(Principal::of(&peer(own, &[]), None).is_ok());
        assert!(Principal::of(&peer(54_321, &[]), None).is_err());
        assert!(Principal::of(&peer(54_321, &[60_000]), Some(60_000)).is_ok());
        assert!(Principal::of(&peer(54_321, &[60_001]), Some(60_000)).is_err());
    }

    #[test]
    fn administrator_spoken_for_has_his_own_rights_and_only_while_he_is_there() {
        let mut config = config();
        let mut root = Principal::of(&peer(0, &[]), None).unwrap();
        assert_eq!(root.rights(&config), Rights::Full);
        let client = Some(SocketAddr::from(([192, 0, 2, 7], 40_112)));
        assert_eq!(root.speak_for(&config, "c", client).unwrap_err().0, "not-found");
        assert_eq!(root.origin().from, "control pid 7");
        root.speak_for(&config, "b", client).unwrap();
        assert_eq!((root.rights(&config), root.origin()), (Rights::ReadOnly, Origin::new("b", "ssh 192.0.2.7:40112")));
        assert_eq!(root.speak_for(&config, "a", None).unwrap_err().0, "denied", "once");
        config.admin.as_mut().unwrap().users.pop();
        assert_eq!(root.rights(&config), Rights::None);
        let mut member = Principal::of(&peer(54_321, &[60_000]), Some(60_000)).unwrap();
        assert_eq!(member.speak_for(&config, "a", client).unwrap_err().0, "denied");
        assert_eq!(member.origin().from, "control pid 7", "a member may not say where he is");
    }

    #[test]
    fn hashes_are_hidden_from_who_may_only_look() {
        let text = crate::config::write(&config());
        let masked = masked(&text);
        assert!(text.contains("$6$x") && !masked.contains("$6$"), "{masked}");
        let seen = crate::config::parse(&masked, "f").unwrap();
        assert_eq!(seen.services, config().services);
    }
}
