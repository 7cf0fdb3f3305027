//! Access lists, and who may come in.

use super::{apply, attributes, base, done, host, refused};
use crate::config::{parse, write};
use crate::model::change::{AclTexts, Change, RefusalKind};

pub(super) fn list(default: &str, rules: &[(&str, &str)]) -> AclTexts {
    let rules = rules.iter().map(|(verdict, net)| ((*verdict).to_owned(), (*net).to_owned())).collect();
    AclTexts { default: default.to_owned(), rules }
}

#[test]
fn list_is_added_used_replaced_whole_and_goes_when_nobody_uses_it() {
    let mut config = base();
    let mut told = |change: Change| {
        let result = apply(&mut config, &change);
        assert_eq!(parse(&write(&config), "f"), Ok(config.clone()), "{change:?}");
        result.map_err(|refusal| (refusal.kind, refusal.why))
    };
    let acl = || "lan".to_owned();
    let add = Change::AddAcl { acl: acl(), list: list("deny", &[("permit", "10.0.0.0/8"), ("deny", "::/0")]) };
    assert_eq!(told(add.clone()), Ok("access list lan added: 2 rules, default deny".into()));
    assert_eq!(told(add).unwrap_err().0, RefusalKind::Conflict);
    let set =
        |attribute: (&str, &str)| Change::SetService { service: "web".into(), attributes: attributes(&[attribute]) };
    let (kind, why) = told(set(("acl", "lna"))).unwrap_err();
    let missing = "acl=\"lna\": the configuration has no access list \"lna\", expected <acl \
                   name=\"NAME\">; did you mean \"lan\"?";
    assert_eq!((kind, why.as_str()), (RefusalKind::Invalid, missing));
    told(set(("acl", "lan"))).unwrap();
    told(Change::SetHost { host: host(None, "b"), attributes: attributes(&[("acl", "lan")]) }).unwrap();
    let (kind, why) = told(Change::RemoveAcl { acl: acl() }).unwrap_err();
    let used = "\"lan\" is used by service web or host web/blue/b, expected another list there first";
    assert_eq!((kind, why.as_str()), (RefusalKind::Conflict, used));
    let replace = Change::SetAcl { acl: acl(), list: list("permit", &[("deny", "192.0.2.1")]) };
    assert_eq!(told(replace), Ok("access list lan: 1 rule, default permit".into()));
    let wrong = Change::SetAcl { acl: acl(), list: list("permit", &[("deny", "192.0.2.1/24")]) };
    let (kind, why) = told(wrong).unwrap_err();
    assert_eq!(kind, RefusalKind::Invalid);
    assert!(why.ends_with("expected 192.0.2.0/24 or 192.0.2.1"), "{why}");
    told(set(("acl", ""))).unwrap();
    told(Change::SetHost { host: host(None, "b"), attributes: attributes(&[("acl", "")]) }).unwrap();
    assert_eq!(told(Change::RemoveAcl { acl: acl() }), Ok("access list lan removed".into()));
    assert_eq!(told(Change::RemoveAcl { acl: acl() }).unwrap_err().0, RefusalKind::NotFound);
}

#[test]
fn proxy_of_a_listener_and_limits_of_a_service_are_changed_in_the_words_of_the_file() {
    let set = |pairs: &[(&str, &str)]| Change::SetListener {
        service: "web".into(),
        listen: "*:8081".into(),
        attributes: attributes(pairs),
    };
    let (config, _) = done(&set(&[("proxy", "any"), ("proxy-from", "10.0.0.0/8,::1")]));
    assert_eq!(config.services[0].listens[1].proxy.as_ref().unwrap().from.len(), 2);
    assert!(refused(&set(&[("proxy", "any")])).1.starts_with("proxy without proxy-from"));
    let limits = [("client-max", "3"), ("client-rate", "9"), ("fastclose", "up")];
    let (config, _) = done(&Change::SetService { service: "web".into(), attributes: attributes(&limits) });
    assert_eq!(config.services[0].entrance.limits.max, Some(3));
}
