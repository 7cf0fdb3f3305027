//! The files of the page, in the program: what is served under `/assets/`, and the two documents.
//!
//! Nothing is made from them at build time or at run time. They name each other by `/assets/NAME` and `./NAME` only.

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl Asset {
    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some(_) | None => "application/octet-stream",
        }
    }
}

/// The document for who is logged in, and for who is not.
pub const INDEX: &str = "index.html";
/// See [`INDEX`].
pub const LOGIN: &str = "login.html";

/// The file of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        /// All files, by name.
        pub static ASSETS: &[Asset] =
            &[$(Asset { name: $name, text: include_str!(concat!("assets/", $name)) }),*];
    };
}

assets![
    "adapt.css",
    "api.js",
    "app.js",
    "banners.js",
    "base.css",
    "chart.js",
    "charts.css",
    "configuration-actions.js",
    "configuration-page.js",
    "controls.css",
    "dialog.js",
    "dialogs.css",
    "dom.js",
    "events-page.js",
    "filter.js",
    "format.js",
    "group-view.js",
    "histogram.js",
    "history.js",
    "host-actions.js",
    "host-menu.js",
    "host-page.js",
    "host-row.js",
    "host-state.js",
    "hosts.css",
    "icon.svg",
    "index.html",
    "keys.js",
    "lists.css",
    "live.js",
    "login.html",
    "login.js",
    "menu.js",
    "notice.js",
    "service-actions.js",
    "service-view.js",
    "services-page.js",
    "services.css",
    "sessions-page.js",
    "state.js",
    "text-diff.js",
    "theme.js",
    "users-page.js",
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Most lines of a file, as for Rust.
    const LINES_MAX: usize = 400;

    /// What stands between the quotes after each `before`.
    fn quoted_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    #[test]
    fn every_file_of_the_directory_is_in_the_program() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/assets");
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let listed: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        assert_eq!(names, listed);
    }

    #[test]
    fn every_name_in_a_file_is_that_of_a_file() {
        for asset in ASSETS {
            let named = ["\"/assets/", "from \"./"].into_iter().flat_map(|before| quoted_after(asset.text, before));
            for name in named {
                assert!(find(name).is_some(), "{}: {name}", asset.name);
            }
        }
    }

    #[test]
    fn every_module_is_asked_for_at_once() {
        let index = find(INDEX).unwrap().text;
        let outside = ["theme.js", "login.js"];
        for asset in ASSETS.iter().filter(|asset| asset.name.ends_with(".js") && !outside.contains(&asset.name)) {
            assert!(index.contains(&format!("\"/assets/{}\"", asset.name)), "{}", asset.name);
        }
    }

    #[test]
    fn nothing_needs_more_than_the_policy_allows_or_makes_markup_of_text() {
        for asset in ASSETS {
            let refused = [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                " style=",
                "http:",
                "https:",
            ];
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for word in refused {
                assert!(!text.contains(word), "{}: {word}", asset.name);
            }
            let tags = asset.text.split("<script").skip(1).filter_map(|rest| rest.split('>').next());
            for tag in tags {
                assert!(tag.contains("src=\"/assets/"), "{}: <script{tag}>", asset.name);
            }
        }
    }

    #[test]
    fn files_are_short() {
        for asset in ASSETS {
            let lines = asset.text.lines().count();
            assert!(lines <= LINES_MAX, "{}: {lines} lines, at most {LINES_MAX}", asset.name);
        }
    }
}
