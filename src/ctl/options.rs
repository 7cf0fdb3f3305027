//! What stands before the command on the command line.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use getopts::{Fail, Matches, ParsingStyle};

use crate::admin::words::Mode;
use crate::config::closest;

/// Where the socket is when nothing says otherwise.
const SOCKET: &str = "/run/director.sock";

pub(super) const USAGE: &str = "\
Usage: directorctl [-s SOCKET] [--json] [--color WHEN] [--as USER] COMMAND…

  -s, --socket SOCKET   the control socket (default: $DIRECTOR_SOCKET, else /run/director.sock)
      --json            print each answer as one JSON document
      --color WHEN      auto (on a terminal, unless $NO_COLOR is set), always, never
      --as USER         speak for this administrator, with his rights
  -h, --help            print this
  -V, --version         print the version

Without a command, on a terminal: a prompt. Exit codes: 0 done, 1 refused, 2 usage, 3 no connection, 4 not found.
";

/// What is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Help,
    Version,
    Run(Options, Vec<String>),
}

/// How to speak to the balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// The socket.
    pub(super) socket: PathBuf,
    /// Answers as documents.
    pub(super) json: bool,
    /// Whether to use colours; none: where they are seen.
    pub(super) colour: Option<bool>,
    /// The administrator that is spoken for.
    pub(super) user: Option<String>,
    /// From where he came over SSH.
    pub(super) client: Option<SocketAddr>,
}

impl Options {
    /// How the socket is to answer.
    pub(super) fn mode(&self) -> Mode {
        match (self.json, self.is_coloured()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Colour,
            (false, false) => Mode::Text,
        }
    }

    /// Whether the output has colours.
    pub(super) fn is_coloured(&self) -> bool {
        let seen = || {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            io::stdout().is_terminal() && !refused && !dumb
        };
        self.colour.unwrap_or_else(seen)
    }

    /// Has the client that `sshd` tells the commands that it forces of; see ssh(1), `SSH_CONNECTION`.
    pub(super) fn with_connection(mut self, connection: &str) -> Self {
        let mut words = connection.split(' ');
        // An address of one link has that link's name behind a percent sign.
        let ip = words.next().and_then(|ip| ip.split('%').next()?.parse::<IpAddr>().ok());
        let port = words.next().and_then(|port| port.parse().ok());
        self.client = ip.zip(port).map(SocketAddr::from);
        self
    }

    /// Takes `--json` from the front of a line that came another way than the command line.
    pub(super) fn with_leading(mut self, mut words: Vec<String>) -> (Self, Vec<String>) {
        if words.first().is_some_and(|word| word == "--json") {
            words.remove(0);
            self.json = true;
        }
        (self, words)
    }
}

/// Reads the command line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut parser = getopts::Options::new();
    parser.parsing_style(ParsingStyle::StopAtFirstFree);
    parser.optopt("s", "socket", "", "SOCKET").optopt("", "color", "", "WHEN").optopt("", "as", "", "USER");
    parser.optflag("", "json", "").optflag("h", "help", "").optflag("V", "version", "");
    let args: Result<Vec<String>, OsString> = args.into_iter().map(OsString::into_string).collect();
    let args = args.map_err(|word| format!("{} is not UTF-8", word.display()))?;
    let matches = parser.parse(args).map_err(|fail| explain(&fail))?;
    if matches.opt_present("help") {
        return Ok(Request::Help);
    }
    if matches.opt_present("version") {
        return Ok(Request::Version);
    }
    Ok(Request::Run(options(&matches)?, matches.free))
}

fn options(matches: &Matches) -> Result<Options, String> {
    let from_environment = || std::env::var_os("DIRECTOR_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from);
    let socket = matches.opt_str("socket").map(PathBuf::from).or_else(from_environment);
    let colour = match matches.opt_str("color").as_deref() {
        None | Some("auto") => None,
        Some("always") => Some(true),
        Some("never") => Some(false),
        Some(other) => return Err(format!("--color {other:?}: expected auto, always or never")),
    };
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    Ok(Options { socket, json: matches.opt_present("json"), colour, user: matches.opt_str("as"), client: None })
}

fn explain(fail: &Fail) -> String {
    match fail {
        Fail::UnrecognizedOption(name) => {
            let near = closest(name, ["socket", "json", "color", "as", "help", "version"]);
            let hint = near.map_or_else(String::new, |near| format!("; did you mean --{near}?"));
            format!("unknown option {name:?}{hint}; options of a command stand behind it")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Options, Vec<String>), String> {
        match parse(line.split_whitespace().map(OsString::from))? {
            Request::Run(options, words) => Ok((options, words)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let (options, words) = parsed("-s /a/b --json --as ann drain x --deadline 5s").unwrap();
        assert_eq!((options.socket, options.json, options.user), (PathBuf::from("/a/b"), true, Some("ann".into())));
        assert_eq!(words, ["drain", "x", "--deadline", "5s"]);
    }

    #[test]
    fn client_is_the_first_address_of_the_connection() {
        let client = |text: &str| {
            let (options, _) = parsed("--as ann prompt").unwrap();
            options.with_connection(text).client.map(|client| client.to_string())
        };
        assert_eq!(client("192.0.2.7 40112 192.0.2.1 7002").as_deref(), Some("192.0.2.7:40112"));
        assert_eq!(client("fe80::1%eth0 40112 fe80::2%eth0 7002").as_deref(), Some("[fe80::1]:40112"));
        assert_eq!([client(""), client("ann 1"), client("192.0.2.7 x")], [None, None, None]);
    }

    #[test]
    fn wrong_options_are_explained() {
        assert!(parsed("--sokcet x status").unwrap_err().contains("did you mean --socket?"));
        assert!(parsed("--color blue status").unwrap_err().contains("auto, always or never"));
        assert!(parsed("--json=yes status").is_err());
    }
}
