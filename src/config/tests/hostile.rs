//! Whatever the input, parsing ends soon and without a panic.

use std::time::Duration;

use proptest::prelude::*;

use super::arbitrary;
use crate::config::{parse, write};
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

/// The first error of a text, after checking that parsing it was quick, by this thread's time on a processor. The bound
/// is for a debug build; what it must catch takes minutes or gigabytes.
fn refused_quickly(text: &str) -> String {
    let started = processor_time();
    let errors = parse(text, "f").unwrap_err();
    let took = processor_time().saturating_sub(started);
    assert!(took < Duration::from_secs(30), "took {took:?}");
    errors.to_string().lines().next().unwrap_or_default().to_owned()
}

/// See proc(5), `schedstat`.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The text repeated up to the largest size of a file.
fn filled(start: &str, repeated: &str, end: &str) -> String {
    let room = usize::try_from(CONFIG_FILE_BYTES_MAX).unwrap() - start.len() - end.len();
    format!("{start}{}{end}", repeated.repeat(room / repeated.len()))
}

#[test]
fn nesting_of_100000_levels_is_refused() {
    let text = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
    assert_eq!(refused_quickly(&text), "f:1:49: elements are nested too deep, expected at most 16 levels");
}

#[test]
fn element_with_20000_attributes_is_refused() {
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=''")).collect();
    let expected = "f:1:1: the element has too many attributes, expected at most 64";
    assert_eq!(refused_quickly(&format!("<director{attributes}/>")), expected);
}

#[test]
fn file_above_the_size_limit_is_refused() {
    let text = filled("<director>", " ", "</director>") + " ";
    assert_eq!(refused_quickly(&text), "f:1:1: the file is too large, expected at most 4194304 bytes");
}

#[test]
fn file_full_of_one_mistake_is_refused() {
    refused_quickly(&filled("<director>", "<a/>", "</director>"));
    refused_quickly(&filled("<director>", "<servce/>", "</director>"));
    refused_quickly(&filled("<director>", "<host/>", "</director>"));
    refused_quickly(&filled("<director>", "x<!---->", "</director>"));
    refused_quickly(&filled("<director>", "<service/>", "</director>"));
    refused_quickly(&filled("<director>", "<manager/>", "</director>"));
    refused_quickly(&filled("<director>", "<manager xmlns:a=''/>", "</director>"));
}

#[test]
fn service_full_of_one_mistake_is_refused() {
    let within = |repeated: &str| filled("<director><service name='s'>", repeated, "</service></director>");
    refused_quickly(&within("<listen ip='*:1'/>"));
    refused_quickly(&within("<enable group='a'/>"));
    refused_quickly(&within("<group enable='1'/>"));
    refused_quickly(&within("<group name='a'/>"));
    let end = "<enable group='aaab'/></service></director>";
    refused_quickly(&filled("<director><service name='s'>", "<group name='aaaa'/>", end));
    refused_quickly(&within(&format!("<{}/>", "h".repeat(60))));
    refused_quickly(&within("<listen ip='*:1'/><group><host ip='127.0.0.1:1'/></group>"));
}

#[test]
fn entity_bombs_are_refused_before_they_are_parsed() {
    let laughs = "<!DOCTYPE director [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><director>&b;</director>";
    assert_eq!(
        refused_quickly(laughs),
        "f:1:21: the DTD defines an entity, expected a file without entity definitions"
    );
    let unknown = filled("<director>", "&a;", "</director>");
    assert_eq!(refused_quickly(&unknown), "f:1:11: unknown entity \"a\", expected amp, lt, gt, quot or apos");
}

#[test]
fn one_long_value_or_name_is_refused_with_a_short_message() {
    for text in [filled("<director a='", "x", "'/>"), filled("<", "x", "/>"), filled("<director ", "x", "=''/>")] {
        let message = refused_quickly(&text);
        assert!(message.len() < 400, "{message}");
    }
}

/// A valid file with some damage.
fn damaged() -> impl Strategy<Value = String> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), "[<>/&'\"= a-z\\PC]{0,4}"), 1..6);
    (arbitrary::config(), damage, any::<bool>()).prop_map(|(config, damage, cut)| {
        let mut text = write(&config);
        for (place, length, replacement) in damage {
            let start = text.floor_char_boundary(place.index(text.len() + 1));
            let end = text.floor_char_boundary((start + usize::from(length % 8)).min(text.len()));
            text.replace_range(start..end.max(start), &replacement);
            if cut && length > 250 {
                text.truncate(start);
            }
        }
        text
    })
}

/// Random text of the pieces that XML and the configuration are made of.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<director>",
        "</director>",
        "<service",
        "<listen ip=",
        "<host ip='h:1'/>",
        "<group name='a'>",
        "</group>",
        ">",
        "/>",
        " ",
        "'",
        "\"",
        "<!DOCTYPE a",
        "<!ENTITY",
        "[",
        "]",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?xml ",
        "?>",
        "&#x1;",
        "&amp;",
        "&",
        "name='é'",
        "xmlns='a'",
        "xmlns:b='c'",
        "b:name='d'",
        "\u{feff}",
        "\r\n",
        "\u{0}",
        "*:80",
        "[::1]:80",
        "5s",
        "99999999999999999999",
    ]);
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_file_never_panics(text in damaged()) {
        let _ = parse(&text, "f");
    }

    #[test]
    fn pieces_in_any_order_never_panic(text in pieces()) {
        let _ = parse(&text, "f");
    }

    #[test]
    fn random_text_is_refused(text in any::<String>()) {
        prop_assert!(parse(&text, "f").is_err());
    }

    #[test]
    fn file_cut_anywhere_is_refused(config in arbitrary::config(), place in any::<prop::sample::Index>()) {
        let text = write(&config);
        let end = text.floor_char_boundary(place.index(text.trim_end().len()));
        let message = parse(&text[..end], "f").unwrap_err().to_string();
        prop_assert!(message.starts_with("f:"), "{message}");
    }
}
