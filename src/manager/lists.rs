//! Access lists as reactors look into them. A list that has not changed stays the same one, and is not made anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config;
use crate::model::access::Acl;

/// The lists of the configuration, by name.
#[derive(Debug, Default)]
pub(super) struct Lists(BTreeMap<String, (config::Acl, Arc<Acl>)>);

impl Lists {
    /// Takes the lists of a configuration. Returns how many are new, gone or other ones.
    pub(super) fn take(&mut self, wanted: &[config::Acl]) -> usize {
        let mut old = std::mem::take(&mut self.0);
        let mut changed = 0;
        for list in wanted {
            let known = old.remove(&list.name).filter(|(known, _)| known == list);
            let list = known.unwrap_or_else(|| {
                changed += 1;
                (list.clone(), Arc::new(Acl::new(list.default, &list.rules)))
            });
            self.0.insert(list.0.name.clone(), list);
        }
        changed + old.len()
    }

    /// The list of that name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Acl>> {
        self.0.get(name).map(|(_, list)| Arc::clone(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Verdict;

    #[test]
    fn list_that_stays_is_the_same_one_and_any_other_is_counted() {
        let list = |name: &str, default| config::Acl { name: name.into(), default, rules: Vec::new() };
        let mut lists = Lists::default();
        assert_eq!(lists.take(&[list("a", Verdict::Deny), list("b", Verdict::Deny)]), 2);
        let (a, b) = (lists.get("a").unwrap(), lists.get("b").unwrap());
        assert_eq!(lists.take(&[list("b", Verdict::Permit), list("a", Verdict::Deny)]), 1);
        assert!(Arc::ptr_eq(&a, &lists.get("a").unwrap()) && !Arc::ptr_eq(&b, &lists.get("b").unwrap()));
        assert_eq!(lists.take(&[]), 2);
        assert!(lists.get("a").is_none());
    }
}
