//! Which packages the tree may have, and that each is explained.

/// Async runtimes and what comes with them.
const NEVER: [&str; 5] = ["tokio", "async-std", "smol", "hyper", "futures"];

/// The packages that a manifest asks for.
fn direct(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(section) = line.trim().strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if let Some((name, _)) = line.split_once('=')
            && inside
            && !line.starts_with(['#', ' '])
        {
            names.push(name.trim().to_owned());
        }
    }
    names
}

/// Packages of the manifest that the explanation has no line for.
pub(crate) fn check_explained(manifest: &str, explanation: &str) -> Vec<String> {
    let explained = |name: &str| explanation.lines().any(|line| line.contains(&format!("`{name}`")));
    let missing = direct(manifest).into_iter().filter(|name| !explained(name));
    missing.map(|name| format!("CONTRIBUTING.md does not say what `{name}` is for")).collect()
}

/// Packages of the lock file that must not be in the tree.
pub(crate) fn check_lock(lock: &str) -> Vec<String> {
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let never = names.filter(|name| NEVER.iter().any(|never| name == never || name.starts_with(&format!("{never}-"))));
    never.map(|name| format!("Cargo.lock has {name}")).collect()
}

#[test]
fn dependency_without_a_line_is_found() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nmio = \"1\"\nlog = { version = \"1\" }\n\
                    [dev-dependencies]\nproptest = \"1\"\n[profile.dev]\nopt-level = 1\n";
    assert_eq!(direct(manifest), ["mio", "log", "proptest"]);
    let found = check_explained(manifest, "- `mio`: event loops\n- `proptest`: property tests\n");
    assert_eq!(found, ["CONTRIBUTING.md does not say what `log` is for"]);
}

#[test]
fn async_runtime_in_the_tree_is_found() {
    let lock = "[[package]]\nname = \"mio\"\n\n[[package]]\nname = \"tokio\"\n[[package]]\nname = \"futures-core\"\n";
    assert_eq!(check_lock(lock), ["Cargo.lock has tokio", "Cargo.lock has futures-core"]);
}
