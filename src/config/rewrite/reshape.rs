//! Moves what a file says in another place than the writer does to that place, in the normal form.
//!
//! Three things can be said in several ways: the checktime and the control socket, the administration page, and which
//! group serves. What is moved here is only where they are said; the rest of the work does not know of it.

use std::collections::HashMap;

use roxmltree::Node;

use super::normal::Normal;
use crate::config::value;

/// What the old form of `<web>` can say, and the switch that it does not need.
const OLD_WEB: [&str; 3] = ["listen", "secure", "enable"];

/// As the file's root says it.
pub(super) fn root(root: Node<'_, '_>, normal: &mut Normal) {
    let manager = child(root, "manager");
    if manager.is_some() && normal.child("manager").is_none() {
        // An element without any effect: it stays, perhaps for its comments.
        normal.children.push(Normal::new("manager"));
    }
    let in_root = child(root, "checktime").is_some();
    if in_root || manager.is_some_and(|manager| child(manager, "checktime").is_some()) {
        let time = normal.child_mut("manager").and_then(|manager| manager.take_attribute("checktime"));
        let checktime = time.map(|time| Normal::new("checktime").with("time", time));
        let parent = if in_root { Some(&mut *normal) } else { normal.child_mut("manager") };
        parent.into_iter().for_each(|parent| parent.children.extend(checktime.clone()));
    }
    match manager {
        Some(manager) if child(manager, "control").is_some() => {
            let control = normal.take_child("control");
            normal.child_mut("manager").into_iter().for_each(|manager| manager.children.extend(control.clone()));
        }
        Some(_) => {}
        // What the writer had made for the checktime alone.
        None => normal.children.retain(|child| child.kind != "manager" || *child != Normal::new("manager")),
    }
    if let Some(admin) = normal.child_mut("admin")
        && child(root, "admin").is_some_and(|admin| admin.has_attribute("listen"))
        && let Some(web) = admin.take_child("web")
    {
        if web.attributes.iter().all(|(name, _)| OLD_WEB.contains(&name.as_str())) {
            admin.attributes.extend(web.attributes.into_iter().filter(|(name, _)| name != "enable"));
        } else {
            admin.children.insert(0, web);
        }
    }
}

/// Which group serves, as the file says it for this service: in `<enable>`, by marks of the groups, or not at all.
pub(super) fn service(service: Node<'_, '_>, old: &mut Normal, new: &mut Normal) {
    let element = child(service, "enable").and_then(|enable| enable.attribute("group"));
    let groups = service.children().filter(|node| node.has_tag_name("group"));
    let marks: HashMap<&str, bool> = groups
        .filter_map(|group| {
            let mark = value::boolean(group.attribute("enable")?).ok()?;
            Some((group.attribute("name")?, mark))
        })
        .collect();
    say(old, element, |name| marks.get(name).copied());
    if element.is_none() && marks.is_empty() {
        return;
    }
    let Some(serving) = serving(new) else { return };
    let says_no = marks.values().any(|mark| !mark);
    let says_yes = marks.values().any(|mark| *mark);
    let first = new.children("group").filter_map(name).find(|name| marks.get(name).is_none_or(|mark| *mark));
    let is_implied = element.is_some() || (!says_yes && first == Some(&serving));
    say(new, element.map(|_| serving.as_str()), |name| match (name == serving, marks.get(name)) {
        (true, None) => (!is_implied).then_some(true),
        (true, Some(_)) => Some(true),
        (false, Some(true)) if element.is_none() => says_no.then_some(false),
        (false, mark) => mark.map(|_| false),
    });
}

/// Has the service say which group serves in this way only.
fn say(service: &mut Normal, element: Option<&str>, mark: impl Fn(&str) -> Option<bool>) {
    service.children.retain(|child| child.kind != "enable");
    for group in service.children.iter_mut().filter(|child| child.kind == "group") {
        group.take_attribute("enable");
        if let Some(mark) = name(group).and_then(&mark) {
            group.attributes.push((String::from("enable"), mark.to_string()));
        }
    }
    service.children.extend(element.map(|group| Normal::new("enable").with("group", group)));
}

/// The name of the group that serves, if the writer said it in a way that is known here.
fn serving(service: &Normal) -> Option<String> {
    let mut names = service.children("group").filter_map(name);
    let name = match service.child("enable") {
        _ if service.children("group").any(|group| group.attribute("enable").is_some()) => None,
        Some(enable) => names.find(|name| enable.attribute("group") == Some(name)),
        None => names.next(),
    };
    name.map(str::to_owned)
}

fn name(normal: &Normal) -> Option<&str> {
    normal.attribute("name")
}

fn child<'a, 'd>(node: Node<'a, 'd>, kind: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|child| child.has_tag_name(kind))
}
