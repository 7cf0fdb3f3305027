//! Access lists, and that everybody names one that there is.

use super::all;
use super::names::unique;
use crate::config::access::{Acl, missing_acl};
use crate::config::error::{Collector, Reported};
use crate::config::value;
use crate::config::xml::Element;
use crate::model::access::{Rule, Verdict};

pub(super) fn acls(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Vec<Acl>, Reported> {
    let names = root.children("acl").filter_map(|acl| acl.attribute("name")).map(|name| (name.value, name.at));
    let unique = unique("access list", "the file", names, errors);
    let acls = all(root.children("acl").map(|element| acl(element, errors)));
    check_users(root, errors);
    unique.and(acls)
}

fn acl(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<Acl, Reported> {
    let name = element.required("name", value::name, errors);
    let default = element.required("default", value::verdict, errors);
    let rules = all(element.elements().map(|rule| {
        let verdict = if rule.name() == Verdict::Permit.name() { Verdict::Permit } else { Verdict::Deny };
        Ok(Rule { verdict, net: rule.required("net", value::net, errors)? })
    }));
    Ok(Acl { name: name?, default: default?, rules: rules? })
}

/// Reports every list that is named and not there.
fn check_users(root: &Element<'_>, errors: &mut Collector<'_>) {
    let hosts = |service: &'_ Element<'_>| service.children("group").flat_map(|group| group.children("host")).count();
    let names: Vec<&str> =
        root.children("acl").filter_map(|acl| acl.attribute("name")).map(|name| name.value).collect();
    let mut users = Vec::with_capacity(root.children("service").map(hosts).sum());
    for service in root.children("service") {
        users.push(service);
        users.extend(service.children("group").flat_map(|group| group.children("host")));
    }
    users.extend(root.child("admin").and_then(|admin| admin.child("web")));
    for acl in users.into_iter().filter_map(|user| user.attribute("acl")) {
        if let Some(what) = missing_acl(acl.value, names.iter().copied()) {
            errors.report(acl.at, format!("acl={}: {what}", crate::config::error::quoted(acl.value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{errors, errors_with, with};
    use crate::model::access::Verdict;
    use crate::model::clients::{ClientLimits, ClientRoom};
    use crate::model::service::Fastclose;

    #[test]
    fn list_is_read_in_its_order() {
        let text = "<acl name='a' default='deny'><permit net='10.0.0.0/8'/><deny net='::/0'/><permit net='::1'/></acl>";
        let acl = with(text).acls.remove(0);
        assert_eq!((acl.name.as_str(), acl.default), ("a", Verdict::Deny));
        let rules: Vec<String> = acl.rules.iter().map(|rule| format!("{} {}", rule.verdict.name(), rule.net)).collect();
        assert_eq!(rules, ["permit 10.0.0.0/8", "deny ::/0", "permit ::1"]);
    }

    #[test]
    fn list_without_a_default_or_with_a_wrong_network_is_refused() {
        let expected = "f:2:1: <acl name=\"a\"> has no default, expected default=\"permit|deny\"";
        assert_eq!(errors_with("<acl name='a'/>"), expected);
        let expected = "f:2:43: net=\"10.0.0.1/8\": the address has bits behind its prefix, expected 10.0.0.0/8 or \
                        10.0.0.1";
        assert_eq!(errors_with("<acl name='a' default='deny'><permit net='10.0.0.1/8'/></acl>"), expected);
        let expected = "f:3:12: the access list \"a\" is in line 2 already, expected a name of its own in the file";
        let list = "<acl name='a' default='deny'/>";
        assert_eq!(errors_with(&format!("{list}\n{list}")), expected);
    }

    #[test]
    fn list_that_is_named_and_not_there_is_refused_where_it_is_named() {
        let text = "<director><service name='s' acl='lna'><listen ip='*:1'/>
            <group name='g'><host ip='h:2' acl='b'/></group></service><acl name='lan' default='permit'/>
            <admin><web listen='*:2' acl='c'/></admin></director>";
        let what = |name, hint| {
            format!(
                "acl=\"{name}\": the configuration has no access list \"{name}\", expected <acl name=\"NAME\">{hint}"
            )
        };
        let expected = [
            format!("f:1:34: {}", what("lna", "; did you mean \"lan\"?")),
            format!("f:2:49: {}", what("b", "")),
            format!("f:3:43: {}", what("c", "")),
        ];
        assert_eq!(errors(text), expected.join("\n"));
    }

    #[test]
    fn entrance_is_read_whole_and_refused_value_by_value() {
        let service = |attributes: &str| {
            let inside = "<listen ip='*:1'/><group name='g'><host ip='h:2'/></group>";
            format!(
                "<director><acl name='a' default='deny'/>\n<service name='s' {attributes}>{inside}</service></director>"
            )
        };
        let text = service(
            "acl='a' client-max='3' client-rate='10' client-prefix-v4='24' client-prefix-v6='48' client-table='1000'
             fastclose='both'",
        );
        let entrance = crate::config::parse(&text, "f").unwrap().services.remove(0).entrance;
        assert_eq!(entrance.limits, ClientLimits { max: Some(3), rate: Some(10) });
        assert_eq!(entrance.room, ClientRoom { prefix_v4: 24, prefix_v6: 48, clients: 1000 });
        assert_eq!((entrance.acl.as_deref(), entrance.fastclose), (Some("a"), Fastclose::Both));
        let text =
            service("client-max='0' client-rate='0' client-prefix-v4='33' client-prefix-v6='129' client-table='0'");
        assert_eq!(errors(&text).lines().count(), 5, "{}", errors(&text));
    }
}
