//! The manual page `directorctl(1)`, in the macros of man(7), from the table of commands.

use super::help::{capitalised, is_shown};
use super::spec::{Arg, Spec};
use super::table::SECTIONS;

/// The page's source.
#[must_use]
pub fn manual() -> String {
    let mut page = format!(".TH DIRECTORCTL 1 \"\" \"director {}\" \"User Commands\"\n", env!("CARGO_PKG_VERSION"));
    page.push_str(HEAD);
    for (title, specs) in SECTIONS {
        let shown: Vec<&Spec> = specs.iter().filter(|spec| is_shown(spec, true)).collect();
        if shown.is_empty() {
            continue;
        }
        page.push_str(&format!(".SS {}\n", escaped(title)));
        shown.into_iter().for_each(|spec| page.push_str(&entry(spec)));
    }
    page.push_str(TAIL);
    page
}

fn entry(spec: &Spec) -> String {
    let mut text = format!(".TP\n.B {}\n{}.\n", escaped(&spec.usage()), escaped(&capitalised(spec.help)));
    if !spec.more.is_empty() {
        text.push_str(&format!("{}\n", escaped(spec.more)));
    }
    for flag in spec.flags {
        text.push_str(&format!(
            ".RS\n.TP\n.B {}\n{}.\n.RE\n",
            escaped(&flag.usage()),
            escaped(&capitalised(flag.help))
        ));
    }
    for arg in spec.args {
        let Arg::Pairs(pairs) = arg else { continue };
        text.push_str(&format!(".RS\n.PP\nNAME is one of {}.\n.RE\n", escaped(&pairs.names().join(", "))));
    }
    text
}

/// What roff would take for its own: backslashes, hyphens that are to be copied, and a dot or quote that begins a line.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('…', "\\&...");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const HEAD: &str = r#".SH NAME
directorctl \- control a running director
.SH SYNOPSIS
.B directorctl
.RB [ \-s
.IR SOCKET ]
.RB [ \-\-json ]
.RB [ \-\-color
.IR WHEN ]
.I COMMAND
.RI [ ARGUMENT ...]
.SH DESCRIPTION
Tells the load balancer
.B director
what to do, over its control socket, and shows what it answers.
Without a command, on a terminal, it asks for commands, with history and completion.
.PP
A HOST is SERVICE/GROUP/HOST; group and service may be left out where only one host is meant.
A / in a name is written \e/.
Attributes are NAME=TEXT, as in the configuration file; NAME= takes one away.
A time T is a whole number with ms, s, m or h; a bare number is seconds.
.SH OPTIONS
.TP
.BI "\-s, \-\-socket " SOCKET
The control socket; otherwise $DIRECTOR_SOCKET, otherwise /run/director.sock.
.TP
.B \-\-json
Print each answer as one JSON document.
.TP
.BI \-\-color " WHEN"
auto (the default: on a terminal, unless $NO_COLOR is set), always or never.
.TP
.BI \-\-as " USER"
Speak for this administrator of the configuration, with his rights; for root and the balancer's own user.
.TP
.B \-h, \-\-help
Print the commands.
.TP
.B \-V, \-\-version
Print the version.
.SH COMMANDS
"#;

const TAIL: &str = r#".SH EXIT STATUS
.TP
.B 0
It was done.
.TP
.B 1
It was refused, and nothing has changed; standard error says why.
.TP
.B 2
The command line is wrong.
.TP
.B 3
The balancer cannot be reached.
.TP
.B 4
What was named is not there.
.SH ENVIRONMENT
.TP
.B DIRECTOR_SOCKET
The control socket.
.TP
.B NO_COLOR
When set and not empty: no colours unless asked for.
.SH FILES
.TP
.B /run/director.sock
The control socket, where nothing says otherwise.
.TP
.B ~/.local/state/directorctl/history
The history of the prompt; $XDG_STATE_HOME moves it.
.SH EXAMPLES
.nf
directorctl status
directorctl drain web/blue/web1 \-\-deadline 5m \-\-kill
directorctl config diff new.xml \-\-commands | directorctl batch
directorctl config load new.xml \-\-confirm 2m && directorctl config confirm
.fi
.SH SEE ALSO
.B director \-\-help
and its README;
.BR ssh (1)
"#;
