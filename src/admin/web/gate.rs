//! From where the page may be reached: `<web acl>`. Others are closed before a byte of theirs is read.

use std::net::IpAddr;

use crate::config;
use crate::model::access::Acl;

/// The access list as it was last made ready.
#[derive(Debug, Default)]
pub(super) struct Gate(Option<(config::Acl, Acl)>);

impl Gate {
    /// Asks this list from now on; none lets everybody in. One that says the same is not made ready anew. Returns
    /// whether it says anything else than before.
    pub(super) fn take(&mut self, list: Option<&config::Acl>) -> bool {
        if self.0.as_ref().map(|(known, _)| known) == list {
            return false;
        }
        self.0 = list.map(|list| (list.clone(), Acl::new(list.default, &list.rules)));
        true
    }

    /// Whether who has this address may come in.
    pub(super) fn permits(&self, ip: IpAddr) -> bool {
        self.0.as_ref().is_none_or(|(_, acl)| acl.permits(Some(ip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Verdict;

    #[test]
    fn gate_is_open_without_a_list_and_changes_with_it() {
        let mut gate = Gate::default();
        let me: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(gate.permits(me) && !gate.take(None));
        let list = |default| config::Acl { name: "a".into(), default, rules: Vec::new() };
        assert!(gate.take(Some(&list(Verdict::Deny))) && !gate.permits(me));
        assert!(!gate.take(Some(&list(Verdict::Deny))));
        assert!(gate.take(Some(&list(Verdict::Permit))) && gate.permits(me));
        assert!(gate.take(None));
    }
}
