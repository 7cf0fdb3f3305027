//! The table of everything that can be asked.

use super::Access::{Change, Look, LookOrLocal, OldChange, Open};
use super::{Route, ancestors, changes, configs, pages, services, sessions, status, sticky, users};
use crate::admin::http::Method::{self, Delete, Get, Head, Patch, Post, Put};

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $handler:path;)*) => {
        /// Every route.
        pub(super) static ROUTES: &[Route] = &[
            $(Route { method: $method, path: $path, access: $access, handler: $handler },)*
        ];
    };
}

routes! {
    Get "/" Look ancestors::front;
    Get "/running" Look ancestors::running;
    Get "/running.txt" Look ancestors::running_txt;
    Get "/running.xml" Look ancestors::running_xml;
    Get "/config.xml" Look ancestors::config_xml;
    Get "/compareConf" Look ancestors::compare;
    Get "/save" OldChange ancestors::save;
    Get "/addHost" OldChange ancestors::add_host;
    Get "/delHost" OldChange ancestors::del_host;
    Get "/delAllHosts" OldChange ancestors::del_all_hosts;
    Get "/enableGroup" OldChange ancestors::enable_group;
    Get "/changeScheduler" OldChange ancestors::change_scheduler;
    Get "/addUser" OldChange ancestors::add_user;
    Get "/delUser" OldChange ancestors::del_user;
    Get "/newService" OldChange ancestors::new_service;
    Get "/newGroup" OldChange ancestors::new_group;
    Get "/delGroup" OldChange ancestors::del_group;
    Get "/closeLog" OldChange ancestors::close_log;
    Get "/retryHost" OldChange ancestors::retry_host;
    Get "/hostAdminDown" OldChange ancestors::host_admin_down;
    Get "/hostAdminUp" OldChange ancestors::host_admin_up;
    Get "/shutdown" OldChange ancestors::shutdown;

    Get "/login" Open pages::login;
    Post "/login" Open status::login;
    Post "/logout" Open status::logout;
    Get "/assets/{file}" Open pages::part;
    Get "/favicon.ico" Open pages::icon;
    Get "/healthz" Open status::health;
    Get "/readyz" Open status::readiness;
    Get "/metrics" LookOrLocal status::metrics;

    Get "/api/v1/openapi.json" Open pages::openapi;
    Get "/api/v1/whoami" Look status::whoami;
    Get "/api/v1/status" Look status::status;
    Get "/api/v1/services" Look services::list;
    Post "/api/v1/services" Change services::add;
    Get "/api/v1/services/{service}" Look services::one;
    Patch "/api/v1/services/{service}" Change services::set;
    Delete "/api/v1/services/{service}" Change services::remove;
    Get "/api/v1/services/{service}/listeners" Look services::listeners;
    Post "/api/v1/services/{service}/listeners" Change services::add_listener;
    Get "/api/v1/services/{service}/listeners/{listener}" Look services::listener;
    Patch "/api/v1/services/{service}/listeners/{listener}" Change services::set_listener;
    Delete "/api/v1/services/{service}/listeners/{listener}" Change services::remove_listener;
    Get "/api/v1/services/{service}/groups" Look services::groups;
    Post "/api/v1/services/{service}/groups" Change services::add_group;
    Get "/api/v1/services/{service}/groups/{group}" Look services::one_group;
    Patch "/api/v1/services/{service}/groups/{group}" Change services::set_group;
    Delete "/api/v1/services/{service}/groups/{group}" Change services::remove_group;
    Post "/api/v1/services/{service}/groups/{group}/enable" Change services::enable_group;
    Get "/api/v1/services/{service}/groups/{group}/hosts" Look services::hosts;
    Post "/api/v1/services/{service}/groups/{group}/hosts" Change services::add_host;
    Delete "/api/v1/services/{service}/groups/{group}/hosts" Change services::remove_hosts;
    Get "/api/v1/services/{service}/groups/{group}/hosts/{host}" Look services::one_host;
    Patch "/api/v1/services/{service}/groups/{group}/hosts/{host}" Change services::set_host;
    Delete "/api/v1/services/{service}/groups/{group}/hosts/{host}" Change services::remove_host;
    Post "/api/v1/services/{service}/groups/{group}/hosts/{host}/retry" Change services::retry_host;
    Post "/api/v1/services/{service}/groups/{group}/hosts/{host}/blacklist" Change sticky::blacklist;
    Get "/api/v1/sticky" Look sticky::list;
    Delete "/api/v1/sticky" Change sticky::forget;
    Get "/api/v1/sessions" Look sessions::list;
    Delete "/api/v1/sessions" Change sessions::kill;
    Delete "/api/v1/sessions/{session}" Change sessions::kill_one;
    Get "/api/v1/users" Look users::list;
    Post "/api/v1/users" Change users::add;
    Get "/api/v1/users/{user}" Look users::one;
    Patch "/api/v1/users/{user}" Change users::set;
    Delete "/api/v1/users/{user}" Change users::remove;
    Get "/api/v1/config" Look configs::show;
    Put "/api/v1/config" Change configs::load;
    Get "/api/v1/config/diff" Look configs::diff;
    Post "/api/v1/config/diff" Look configs::diff_with;
    Post "/api/v1/config/save" Change configs::save;
    Post "/api/v1/config/reload" Change configs::reload;
    Post "/api/v1/config/confirm" Change configs::keep;
    Post "/api/v1/config/goback" Change configs::go_back;
    Get "/api/v1/manager" Look status::manager;
    Patch "/api/v1/manager" Change status::set_manager;
    Post "/api/v1/log" Change status::log;
    Get "/api/v1/events" Look status::events;
    Get "/api/v1/stream" Look status::stream;
    Post "/api/v1/changes" Change changes::make;
    Post "/api/v1/shutdown" Change status::shutdown;
}

/// What a path is.
pub(in crate::admin) enum Found {
    /// This route, with these names in its braces.
    Route(&'static Route, Vec<String>),
    /// Something with other methods, as `Allow` lists them.
    Methods(String),
    /// Nothing.
    Nothing,
}

/// The route for a method and a path.
pub(in crate::admin) fn find(method: Method, segments: &[String]) -> Found {
    let mut allowed: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(names) = names(route.path, segments) else { continue };
        let is_head = method == Head && route.method == Get && !route.is_old();
        if route.method == method || is_head {
            return Found::Route(route, names);
        }
        allowed.push(route.method.name());
        if route.method == Get && !route.is_old() {
            allowed.push(Head.name());
        }
    }
    if allowed.is_empty() { Found::Nothing } else { Found::Methods(allowed.join(", ")) }
}

/// The names that a path has in the places of the braces; none when it is another path.
fn names(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut parts = pattern.trim_start_matches('/').split('/');
    for segment in segments {
        let part = parts.next()?;
        if part.starts_with('{') && !segment.is_empty() {
            names.push(segment.clone());
        } else if part != segment {
            return None;
        }
    }
    parts.next().is_none().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn look(method: Method, path: &str) -> Found {
        let segments: Vec<String> = path[1..].split('/').map(str::to_owned).collect();
        find(method, &segments)
    }

    #[test]
    fn path_is_found_with_its_names_or_with_its_methods() {
        let Found::Route(route, names) = look(Method::Patch, "/api/v1/services/a/groups/b/hosts/c") else {
            panic!("not found")
        };
        assert_eq!((route.access, names), (Change, vec![String::from("a"), String::from("b"), String::from("c")]));
        assert!(matches!(look(Get, "/"), Found::Route(..)));
        assert!(matches!(look(Head, "/running.txt"), Found::Route(..)));
        for path in ["/nothing", "//", "/api/v1/services/", "/api/v1/services//groups", "/running/", "/assets/a/b"] {
            assert!(matches!(look(Get, path), Found::Nothing), "{path}");
        }
        let Found::Methods(allowed) = look(Put, "/api/v1/users/u") else { panic!("found") };
        assert_eq!(allowed, "GET, HEAD, PATCH, DELETE");
    }

    #[test]
    fn change_by_get_is_never_made_by_head() {
        let Found::Methods(allowed) = look(Head, "/addHost") else { panic!("found") };
        assert_eq!(allowed, "GET");
    }

    #[test]
    fn every_change_needs_the_right_to_change() {
        for route in ROUTES {
            let asks_only = matches!(route.path, "/login" | "/logout" | "/api/v1/config/diff");
            let may = matches!(route.access, Change | OldChange);
            assert!(route.method == Get || may || asks_only, "{}", route.path);
            assert!(route.access != Open || !route.path.starts_with("/api") || route.path.ends_with("openapi.json"));
        }
    }

    #[test]
    fn routes_and_their_document_are_the_same() {
        let text = include_str!("openapi.json");
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let told: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(|method| (path.clone(), method.to_uppercase())).collect::<Vec<_>>()
            })
            .collect();
        let known: BTreeSet<(String, String)> =
            ROUTES.iter().map(|route| (route.path.to_owned(), route.method.name().to_owned())).collect();
        let only = |a: &BTreeSet<_>, b: &BTreeSet<_>| a.difference(b).cloned().collect::<Vec<(String, String)>>();
        assert_eq!(only(&known, &told), [], "not in the document");
        assert_eq!(only(&told, &known), [], "in the document only");
        for (path, methods) in paths {
            let parameters = methods["parameters"].as_array().cloned().unwrap_or_default();
            let names: Vec<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
            let braces: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(names, braces, "{path}");
        }
    }
}
