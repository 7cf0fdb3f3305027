//! Names, passwords and paths.

use std::path::PathBuf;

use crate::config::Access;
use crate::config::error::{alternatives, quoted};
use crate::config::suggest::{closest, hint};

/// Longest name of a service, group, host or user, in characters.
const NAME_CHARS_MAX: usize = 255;
/// Longest path of a Unix socket, in bytes: `sun_path` of unix(7) without its final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Whether a character is not seen as itself where the text is shown: controls, and what changes the direction of the
/// text or breaks its line (Unicode Standard Annex 9, chapter 2; U+2028 and U+2029). Such a character in a name could
/// pass one name off as another in a log.
pub(in crate::config) fn is_hidden(character: char) -> bool {
    is_unwritable(character)
        || matches!(character, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// Whether no attribute of a file can have the character as it is: controls, and the two that XML leaves out (XML 1.0,
/// production 2). It could come in by a change, and the saved file would not be read again.
fn is_unwritable(character: char) -> bool {
    character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}')
}

/// Of a service, group, host or user.
pub(in crate::config) fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(String::from("the name is empty, expected at least one character"));
    }
    no_hidden(text, is_hidden)?;
    if text.trim() != text {
        return Err(String::from("the name starts or ends with a space, expected none there"));
    }
    if text.chars().nth(NAME_CHARS_MAX).is_some() {
        return Err(format!("the name is too long, expected at most {NAME_CHARS_MAX} characters"));
    }
    Ok(text.to_owned())
}

/// The hash of one; its kind is looked at when somebody logs in.
pub(in crate::config) fn password(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(String::from("the password is empty, expected its hash"));
    }
    no_hidden(text, is_hidden)?;
    Ok(text.to_owned())
}

/// `full` or `readonly`.
pub(in crate::config) fn access(text: &str) -> Result<Access, String> {
    match text.trim() {
        "full" => Ok(Access::Full),
        "readonly" => Ok(Access::ReadOnly),
        other => {
            let hint = hint(closest(other, ["full", "readonly"]));
            Err(format!("unknown access, expected full or readonly{hint}"))
        }
    }
}

/// A public key for SSH: a type that OpenSSH has, the key in base64, and perhaps a comment.
pub(in crate::config) fn public_key(text: &str) -> Result<String, String> {
    const TYPES: [&str; 5] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    no_hidden(text, is_hidden)?;
    let mut parts = text.split_ascii_whitespace();
    let (kind, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !TYPES.contains(&kind) {
        return Err(format!("unknown type of key, expected {} and the key, as in a .pub file", alternatives(&TYPES)));
    }
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    // Every key repeats its type, after the four bytes of its length.
    if !key.starts_with("AAAA") || !key.chars().all(is_base64) {
        return Err(String::from("the key is not one, expected its base64 text, as in a .pub file"));
    }
    Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

/// Host names and addresses with commas between them.
pub(in crate::config) fn host_names(text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim);
    let is_name =
        |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    names
        .map(|part| {
            let name = Some(part).filter(is_name).map(str::to_ascii_lowercase);
            name.ok_or_else(|| format!("{} is no host name, expected names with commas between them", quoted(part)))
        })
        .collect()
}

/// Of a file; relative ones are relative to where the daemon was started.
pub(in crate::config) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err(String::from("the path is empty, expected a file name"));
    }
    no_hidden(text, is_unwritable)?;
    Ok(PathBuf::from(text))
}

/// Of a Unix socket.
pub(crate) fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.len() > SOCKET_PATH_BYTES_MAX {
        return Err(format!("the path is too long for a socket, expected at most {SOCKET_PATH_BYTES_MAX} bytes"));
    }
    path(text)
}

fn no_hidden(text: &str, is_hidden: impl Fn(char) -> bool) -> Result<(), String> {
    match text.chars().find(|character| is_hidden(*character)) {
        Some(bad) => {
            let shown = quoted(&bad.to_string());
            Err(format!("the control character {} is in it, expected visible characters", shown.trim_matches('"')))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_visible_characters_is_taken_as_it_is() {
        for text in ["web", "web farm", "café", "<&\"'>", "名前"] {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
        assert!(name(&"é".repeat(NAME_CHARS_MAX)).is_ok());
    }

    #[test]
    fn name_with_a_control_or_bidi_character_is_refused() {
        for (text, shown) in
            [("a\tb", "\\u{9}"), ("a\u{85}", "\\u{85}"), ("\u{202e}bew", "\\u{202e}"), ("a\u{2066}", "\\u{2066}")]
        {
            let expected = format!("the control character {shown} is in it, expected visible characters");
            assert_eq!(name(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn name_that_is_empty_padded_or_long_is_refused() {
        assert!(name("").unwrap_err().starts_with("the name is empty, "));
        assert!(name(" ").unwrap_err().starts_with("the name starts or ends with a space, "));
        assert!(name("web ").unwrap_err().starts_with("the name starts or ends with a space, "));
        assert!(name(&"n".repeat(NAME_CHARS_MAX + 1)).unwrap_err().starts_with("the name is too long, "));
    }

    #[test]
    fn access_misspelt_is_refused_with_a_hint() {
        assert_eq!(access("full"), Ok(Access::Full));
        assert_eq!(access("readonly"), Ok(Access::ReadOnly));
        let message = access("read-only").unwrap_err();
        assert_eq!(message, "unknown access, expected full or readonly; did you mean \"readonly\"?");
    }

    #[test]
    fn path_is_refused_when_it_cannot_be_one() {
        assert_eq!(path("/var/log/a b.log"), Ok(PathBuf::from("/var/log/a b.log")));
        assert!(path("").is_err());
        assert!(path("a\nb").is_err());
        assert!(socket_path(&"s".repeat(SOCKET_PATH_BYTES_MAX)).is_ok());
        assert!(socket_path(&"s".repeat(SOCKET_PATH_BYTES_MAX + 1)).unwrap_err().contains("at most 107 bytes"));
    }

    #[test]
    fn password_may_be_any_hash_but_empty() {
        assert_eq!(password("$6$salt$hash").as_deref(), Ok("$6$salt$hash"));
        assert!(password("").is_err());
        assert!(password("a\u{7}").is_err());
    }
}
