//! Paths and arguments: decoded once, and refused where two readers could understand them differently.

use super::Bad;
use crate::model::limits::WEB_ARGUMENTS_MAX;

/// What a request is for, in the origin form of RFC 9112 section 3.2.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The parts between slashes, decoded; `/` has one, which is empty.
    pub(crate) segments: Vec<String>,
    /// What stands behind the `?`.
    pub(crate) arguments: Arguments,
}

impl Target {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(text: &str) -> Result<Self, Bad> {
        if !text.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'#') {
            return Err(Bad::request("the path has a byte that it may not have"));
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = path.strip_prefix('/').ok_or(Bad::request("the path does not begin with a slash"))?;
        let segments = path.split('/').map(segment).collect::<Result<_, _>>()?;
        Ok(Self { segments, arguments: Arguments::read(query)? })
    }
}

fn segment(text: &str) -> Result<String, Bad> {
    if text == "." || text == ".." || text.to_ascii_lowercase().contains("%2e") || text.contains('\\') {
        return Err(Bad::request("the path has dots where names were expected"));
    }
    decode(text, false)
}

/// Names and values, as a query or a form has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Reads `name=value` with `&` between them.
    ///
    /// # Errors
    /// There are too many, one stands twice, or one is no text.
    pub(crate) fn read(text: &str) -> Result<Self, Bad> {
        let mut found: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name, true)?, decode(value, true)?);
            if found.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                return Err(Bad::request("an argument stands twice"));
            }
            if found.len() == WEB_ARGUMENTS_MAX {
                return Err(Bad::request("there are too many arguments"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// The argument of this name, in whatever case, as the ancestors had it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All of them, as they stand.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Takes the escapes of RFC 3986 section 2.1 out; in a form a plus is a space.
fn decode(text: &str, is_form: bool) -> Result<String, Bad> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                value.ok_or(Bad::request("an escape is cut short"))?
            }
            b'+' if is_form => b' ',
            byte => byte,
        };
        if decoded == 0 {
            return Err(Bad::request("a byte is zero"));
        }
        bytes.push(decoded);
    }
    String::from_utf8(bytes).map_err(|_| Bad::request("an escape is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Target, Bad> {
        Target::read(text)
    }

    #[test]
    fn path_is_split_before_it_is_decoded() {
        let target = read("/services/a%2fb%20c/?x=1+2&Y=%C3%A9&z").unwrap();
        assert_eq!(target.segments, ["services", "a/b c", ""]);
        assert_eq!(target.arguments.get("X"), Some("1 2"));
        assert_eq!(target.arguments.get("y"), Some("é"));
        assert_eq!(target.arguments.get("z"), Some(""));
        assert_eq!(read("/").unwrap().segments, [""]);
    }

    #[test]
    fn path_that_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "*",
            "a",
            "http://a/",
            "//a/..",
            "/../x",
            "/a/./b",
            "/%2e%2e/x",
            "/a%2E",
            "/a\\b",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/%c0%af",
            "/a#b",
            "/a b",
            "/é",
            "/?a=%00",
            "/?a=1&A=2",
            "/?%ff",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let many: String = (0..=WEB_ARGUMENTS_MAX).map(|n| format!("a{n}=&")).collect();
        assert!(read(&format!("/?{many}")).is_err());
    }
}
