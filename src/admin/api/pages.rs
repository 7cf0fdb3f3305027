//! What browsers load: the page, the login form, and what they are made of.

use std::sync::LazyLock;

use ring::digest::{SHA256, digest};

use super::{Call, Outcome, Step};
use crate::admin::assets::{ASSETS, Asset, INDEX, LOGIN};
use crate::admin::auth::hex;
use crate::admin::http::{Answer, Content, Head};
use crate::model::change::Refusal;

const OPENAPI: &[u8] = include_bytes!("openapi.json");
/// Bytes of a hash that tell one content from another.
const TAG_BYTES: usize = 12;

/// What tells each file from what it was in another version, as `ETag` has it.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let hash = |asset: &Asset| hex(&digest(&SHA256, asset.text.as_bytes()).as_ref()[..TAG_BYTES]);
    ASSETS.iter().map(|asset| format!("\"{}\"", hash(asset))).collect()
});

/// The page.
pub(super) fn front() -> Answer {
    page(INDEX)
}

fn page(name: &str) -> Answer {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => Answer::new(200, asset.content_type(), Content::Static(asset.text.as_bytes())),
        None => Answer::text(404, "there is no such page\n"),
    }
}

/// The login form.
pub(super) fn login(_: &Call) -> Outcome {
    Ok(Step::Answer(page(LOGIN)))
}

/// A file of the page. It stays with the browser, which asks whether it is still the same.
pub(super) fn part(call: &Call) -> Outcome {
    let name = call.name(0);
    let found = asset(&call.head, name).ok_or_else(|| Refusal::not_found(format!("there is no {name:?}")))?;
    Ok(Step::Answer(found))
}

/// The file of this name, or that the browser has it.
fn asset(head: &Head, name: &str) -> Option<Answer> {
    let (asset, tag) = ASSETS.iter().zip(TAGS.iter()).find(|(asset, _)| asset.name == name)?;
    let has = head.field("if-none-match").is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let whole = || Answer::new(200, asset.content_type(), Content::Static(asset.text.as_bytes()));
    let answer = if has { Answer::empty(304) } else { whole() };
    Some(answer.with("ETag", tag.clone()).with("Cache-Control", "no-cache"))
}

pub(super) fn icon(call: &Call) -> Outcome {
    asset(&call.head, "icon.svg").map(Step::Answer).ok_or_else(|| Refusal::not_found("there is no icon"))
}

/// What can be asked, for programs that make clients of it.
pub(super) fn openapi(_: &Call) -> Outcome {
    Ok(Step::Answer(Answer::new(200, "application/json", Content::Static(OPENAPI))))
}
