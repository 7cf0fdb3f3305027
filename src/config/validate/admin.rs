//! Administration: validated now, so that a file is known to be right before the version that serves it comes.

use super::all;
use super::names::unique;
use crate::config::error::{Collector, Reported};
use crate::config::value;
use crate::config::xml::Element;
use crate::config::{Address, Admin, User, Web};

pub(super) fn admin(root: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<Admin>, Reported> {
    let Some(admin) = root.child("admin") else { return Ok(None) };
    let old_web = old_web(admin, errors);
    let web = admin.child("web").map_or(Ok(None), |element| web(element, errors));
    let ssh = admin.child("ssh").map_or(Ok(None), |element| enabled_listen(element, errors));
    let users = users(admin, errors);
    let both = match (admin.attribute("listen"), admin.child("web")) {
        (Some(listen), Some(_)) => {
            let what = "listen beside <web>, expected one of them; <web> has a listen of its own";
            Err(errors.report(listen.at, what))
        }
        (Some(_), None) | (None, _) => Ok(()),
    };
    both?;
    Ok(Some(Admin { web: old_web?.or(web?), ssh: ssh?, users: users? }))
}

/// PythonDirector's form: the page listens where `<admin>` says.
fn old_web(admin: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<Web>, Reported> {
    let listen = admin.optional("listen", value::inet_address, errors);
    let secure = admin.optional("secure", value::boolean, errors);
    let (listen, secure) = (listen?, secure?);
    match (listen, secure) {
        (Some(listen), secure) => Ok(Some(Web::new(listen, secure.unwrap_or(false)))),
        (None, Some(true)) => {
            let at = admin.attribute("secure").map_or(admin.at(), |secure| secure.at);
            Err(errors.report(at, "secure without listen, expected listen=\"ADDRESS:PORT\" beside it"))
        }
        (None, Some(false) | None) => Ok(None),
    }
}

fn web(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<Web>, Reported> {
    let listen = enabled_listen(element, errors);
    let secure = element.optional("secure", value::boolean, errors);
    let refresh = element.optional("refresh", value::positive_time, errors);
    let names = element.optional("names", value::host_names, errors);
    let certificate = element.optional("certificate", value::path, errors);
    let key = element.optional("key", value::path, errors);
    let acl = element.optional("acl", value::name, errors);
    let (secure, refresh, names) = (secure?.unwrap_or(false), refresh?, names?.unwrap_or_default());
    let (certificate, key, acl) = (certificate?, key?, acl?);
    if certificate.is_some() != key.is_some() {
        let (has, lacks) = if key.is_some() { ("key", "certificate") } else { ("certificate", "key") };
        let at = element.attribute(has).map_or(element.at(), |attribute| attribute.at);
        return Err(errors.report(at, format!("{has} without {lacks}, expected both or none")));
    }
    Ok(listen?.map(|listen| Web { listen, secure, refresh, names, certificate, key, acl }))
}

/// Where something listens that is off unless `enable` is true.
fn enabled_listen(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<Option<Address>, Reported> {
    let enable = element.optional("enable", value::boolean, errors);
    let listen = element.optional("listen", value::inet_address, errors);
    if enable? != Some(true) {
        return listen.map(|_| None);
    }
    match listen? {
        Some(listen) => Ok(Some(listen)),
        None => element.required("listen", value::inet_address, errors).map(Some),
    }
}

fn users(admin: &Element<'_>, errors: &mut Collector<'_>) -> Result<Vec<User>, Reported> {
    let names = admin.children("user").filter_map(|user| user.attribute("name")).map(|name| (name.value, name.at));
    let unique = unique("user", "the file", names, errors);
    let users = all(admin.children("user").map(|element| user(element, errors)));
    unique.and(users)
}

fn user(element: &Element<'_>, errors: &mut Collector<'_>) -> Result<User, Reported> {
    let name = element.required("name", value::name, errors);
    let key = element.optional("key", value::public_key, errors);
    let password = match element.attribute("key") {
        Some(_) => element.optional("password", value::password, errors),
        None => element.required("password", value::password, errors).map(Some),
    };
    let access = element.required("access", value::access, errors);
    Ok(User { name: name?, password: password?, key: key?, access: access? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{errors_with, with};
    use super::*;
    use crate::config::Access;

    fn address(text: &str) -> Address {
        Address::Socket(text.parse().unwrap())
    }

    #[test]
    fn admin_in_either_form_is_the_same() {
        let old = with("<admin listen='127.0.0.1:7001' secure='yes'/>").admin;
        let new = with("<admin><web listen='127.0.0.1:7001' secure='true' enable='true'/></admin>").admin;
        let web = Web::new(address("127.0.0.1:7001"), true);
        assert_eq!(old, Some(Admin { web: Some(web), ..Admin::default() }));
        assert_eq!(old, new);
    }

    #[test]
    fn admin_in_both_forms_is_refused() {
        let expected = "f:2:16: listen beside <web>, expected one of them; <web> has a listen of its own";
        assert_eq!(errors_with("<admin listen='*:7'><web listen='*:8'/></admin>"), expected);
    }

    #[test]
    fn secure_without_an_address_is_refused() {
        let expected = "f:2:16: secure without listen, expected listen=\"ADDRESS:PORT\" beside it";
        assert_eq!(errors_with("<admin secure='yes'/>"), expected);
    }

    #[test]
    fn page_and_ssh_are_off_unless_they_are_enabled() {
        let admin = with("<admin><web listen='*:7'/><ssh listen='*:8' enable='false'/></admin>").admin.unwrap();
        assert_eq!(admin, Admin::default());
        let admin = with("<admin><web listen='*:7' refresh='30' enable='1'/><ssh listen='*:8' enable='1'/></admin>");
        let web = Web { refresh: Some(Duration::from_secs(30)), ..Web::new(address("0.0.0.0:7"), false) };
        let expected = Admin { web: Some(web), ssh: Some(address("0.0.0.0:8")), users: Vec::new() };
        assert_eq!(admin.admin, Some(expected));
    }

    #[test]
    fn page_enabled_without_an_address_is_refused() {
        let expected = "f:2:8: <web> has no listen, expected listen=\"ADDRESS:PORT\"";
        assert_eq!(errors_with("<admin><web enable='true'/></admin>"), expected);
    }

    #[test]
    fn user_is_read_whole() {
        let users = with("<admin><user name='a' password='x' access='readonly'/></admin>").admin.unwrap().users;
        let expected = User { name: "a".into(), password: Some("x".into()), key: None, access: Access::ReadOnly };
        assert_eq!(users, [expected]);
    }

    #[test]
    fn user_twice_or_with_something_missing_is_refused() {
        let user = "<user name='a' password='x' access='full'/>";
        let expected = "f:3:13: the user \"a\" is in line 2 already, expected a name of its own in the file";
        assert_eq!(errors_with(&format!("<admin>{user}\n{user}</admin>")), expected);
        let expected = "f:2:8: <user> has no name, expected name=\"NAME\"\n\
                        f:2:8: <user> has no password, expected password=\"HASH\"\n\
                        f:2:8: <user> has no access, expected access=\"full|readonly\"";
        assert_eq!(errors_with("<admin><user/></admin>"), expected);
    }
}
