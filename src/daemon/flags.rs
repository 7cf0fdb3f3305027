//! The table of flags, from which both the parser and the help texts are made.

/// One flag, as the parser and the help texts know it.
pub(super) struct Flag {
    /// Heads the flag's group in the help text; empty for all but its first.
    group: &'static str,
    /// One letter, or empty.
    pub(super) short: &'static str,
    pub(super) long: &'static str,
    /// What its value stands for; empty when it takes none.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    /// When to use it; for flags of the second screen.
    helps: &'static str,
    /// Whether it may be given several times.
    pub(super) repeats: bool,
}

const fn flag(
    group: &'static str,
    short: &'static str,
    long: &'static str,
    value: &'static str,
    help: &'static str,
) -> Flag {
    Flag { group, short, long, value, help, helps: "", repeats: false }
}

const fn tuning(long: &'static str, value: &'static str, help: &'static str, helps: &'static str) -> Flag {
    Flag { group: "", short: "", long, value, help, helps, repeats: false }
}

const fn several(flag: Flag) -> Flag {
    Flag { repeats: true, ..flag }
}

/// The first screen.
const FLAGS: [Flag; 20] = [
    flag("Instead", "", "check", "", "print every error of CONFIG, or what would run"),
    flag("", "", "doctor", "", "what on this host limits it, and the remedy"),
    flag("", "", "demo", "", "balance over three built-in hosts, to try out"),
    flag("", "", "diff", "", "print what makes the file OLD into NEW"),
    flag("", "", "diff-as", "FORM", "text, commands, api or pydir (text)"),
    flag("", "", "hash-password", "", "ask for a password, print its hash for CONFIG"),
    flag("", "h", "help", "", "print this"),
    flag("", "", "help-line", "", "print how one line starts it, without CONFIG"),
    flag("", "", "help-tuning", "", "print the flags for sockets and sizes"),
    flag("", "V", "version", "", "print the version"),
    flag("Threads", "t", "threads", "N", "reactors (default: the CPUs it may run on)"),
    flag("Bounds", "", "max-connections", "N", "most open pairs (default: what fits)"),
    flag("", "", "max-flows", "N", "most flows of datagrams (100000)"),
    flag("Times", "", "connect-timeout", "T", "a client may wait for a host (5s)"),
    flag("", "", "idle-timeout", "T", "a pair may be silent (10m)"),
    flag("", "", "fin-timeout", "T", "a half-closed pair may be silent (1m)"),
    flag("", "", "drain-timeout", "T", "ending waits for connections (30s)"),
    flag("Process", "", "pidfile", "FILE", "lock FILE and write the process id there"),
    flag("", "", "log-level", "LEVEL", "error, warn, info, debug or trace (info)"),
    flag("", "", "log-format", "FORMAT", "text or json (text)"),
];

/// The second screen.
const TUNING: [Flag; 20] = [
    tuning("pin", "", "bind each reactor to a CPU", "machines that do nothing else"),
    tuning("steer", "", "clients to the reactor of their packets' CPU", "cards with a queue a CPU; needs --pin"),
    tuning("incoming-cpu", "", "the same by the kernel's own choice", "where BPF is forbidden; needs --pin"),
    tuning("rebalance", "", "give new clients to less loaded reactors", "few clients that stay for long"),
    tuning("accept-batch", "N", "most clients accepted at a time (16)", "many short connections"),
    tuning("buffer-size", "BYTES", "of a buffer, 1k to 16m (64k)", "bulk, or memory that is short"),
    tuning("splice", "WHEN", "move streams by splice: auto, on, off (auto)", "on: streams and nothing else"),
    tuning("backlog", "N", "most clients waiting to be accepted (4096)", "bursts; needs net.core.somaxconn"),
    tuning("defer-accept", "T", "accept clients once they speak", "clients that connect and are silent"),
    tuning("fastopen", "N", "clients waiting with data in the SYN", "short requests over long distances"),
    tuning("host-fastopen", "BOOL", "send waiting data in the SYN to hosts", "as fastopen, if hosts bear repeats"),
    tuning("source", "ADDRESSES", "connect to hosts from these addresses", "more than 64k connections a host"),
    tuning("user-timeout", "T", "unacknowledged bytes end a connection", "peers that vanish while written to"),
    tuning("keepalive", "T,T,N", "ask the silent: after, every, times", "firewalls that forget, dead peers"),
    tuning("congestion", "NAME", "of the kernel's congestion controls", "bbr: long or lossy paths"),
    tuning("notsent-lowat", "BYTES", "that may wait unsent in the kernel", "memory and latency of slow readers"),
    tuning("busy-poll", "MICROS", "a read polls the device", "microseconds count, CPUs do not"),
    tuning("receive-buffer", "BYTES", "of a socket, fixed", "bounded memory, or far fast peers"),
    tuning("send-buffer", "BYTES", "of a socket, fixed", "as receive-buffer"),
    tuning("quick-ack", "BOOL", "no: first acknowledgements wait for data", "no: fewer packets, short requests"),
];

/// The third screen: one line, no file.
const LINE: [Flag; 9] = [
    several(flag("", "l", "listen", "[ADDRESS:]PORT", "where it listens, or udp:53, or [::1]:80; repeats")),
    flag("", "s", "scheduler", "NAME", "who is next; roundrobin,sticky unless given"),
    several(flag("", "e", "emergency", "HOST", "for clients that no other host can take")),
    several(flag("", "B", "abuse", "HOST", "for clients that are denied access")),
    flag("", "b", "blacklist", "T", "a failed host stays out so long at least"),
    flag("", "C", "control", "PATH", "the socket for directorctl"),
    flag("", "a", "admin", "[ADDRESS:]PORT", "the page; each start prints its password"),
    flag("Instead", "", "print-config", "", "print the configuration file that says the same"),
    flag("", "", "from-pen", "LINE", "print the one of a pen command line, in quotes"),
];

/// Every flag.
pub(super) fn all() -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().chain(&TUNING).chain(&LINE)
}

/// The help text: fits a terminal of 24 lines and 80 columns.
pub(super) fn help() -> String {
    let mut text = String::from("Usage: director [options] CONFIG, or -l PORT HOST..., or as --diff OLD NEW below\n\n");
    for Flag { group, short, long, value, help, .. } in &FLAGS {
        let short = if short.is_empty() { String::new() } else { format!("-{short},") };
        let long = format!("--{long} {value}");
        text.push_str(&format!("{group:8}{short:>4} {long:20} {help}\n"));
    }
    text.push_str("\nT is a time: 250ms, 5s, 2m, 1h; a bare number is seconds.\n");
    text.push_str("Exit codes: 0 fine, 1 configuration, 2 usage, 3 could not listen.\n");
    text
}

/// The third help text: a terminal of 24 lines and 80 columns.
pub(super) fn help_line() -> String {
    let mut text = String::from(
        "One line starts a balancer: -l PORT, then its hosts. No file is needed.\n\n  \
         director -l 8080 web1:80 web2:80:max=100,weight=3\n  \
         director -l 8080 -s leastconns,sticky -e sorry -C /run/lb.sock web1:80 web2:80\n\n",
    );
    for Flag { short, long, value, help, .. } in &LINE {
        let short = if short.is_empty() { String::new() } else { format!("-{short},") };
        let long = format!("--{long} {value}");
        text.push_str(&format!("{short:>4} {long:24} {help}\n"));
    }
    text.push_str(
        "\nHOST is ADDRESS[:PORT][:KEY=VALUE,...]. Without PORT, the listener's. KEY is\n\
         any attribute of <host>: weight, max, hard, prio, state, blacklist, ... Numbers\n\
         alone are pen's: ADDRESS:PORT:MAX:HARD:WEIGHT:PRIO, where 0 says nothing.\n\
         IPv6 addresses have brackets. Listeners take attributes of <listen> likewise.\n\
         All other options are as with CONFIG. --print-config ... > FILE makes one.\n",
    );
    text
}

/// The second help text: a terminal of 48 lines and 80 columns, two lines a flag.
pub(super) fn help_tuning() -> String {
    let mut text = String::from("Flags for sockets and sizes, what each does, and when it helps:\n\n");
    for Flag { long, value, help, helps, .. } in &TUNING {
        let long = format!("--{long} {value}");
        text.push_str(&format!("  {long:24} {help}\n{:27}helps: {helps}\n", ""));
    }
    text.push_str(
        "\nBYTES: 65536, 64k, 1m. Nothing is set that is not asked for. Options of sockets\n\
         are for listeners and hosts that do not say; conf/TUNING.md explains them all.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str, lines: usize) {
        assert!(text.lines().count() <= lines, "{} lines", text.lines().count());
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 80, "{} columns: {widest}", widest.chars().count());
    }

    #[test]
    fn help_fits_a_terminal_of_24_lines_and_80_columns() {
        fits(&help(), 24);
        for flag in &FLAGS {
            assert!(help().contains(&format!("--{}", flag.long)), "{}", flag.long);
        }
    }

    #[test]
    fn help_on_the_line_fits_a_terminal() {
        fits(&help_line(), 24);
        for flag in &LINE {
            assert!(help_line().contains(&format!("--{} {}", flag.long, flag.value)), "{}", flag.long);
        }
    }

    #[test]
    fn help_on_tuning_fits_48_lines_and_says_when_each_flag_helps() {
        fits(&help_tuning(), 48);
        for flag in &TUNING {
            assert!(help_tuning().contains(&format!("--{} {}", flag.long, flag.value)), "{}", flag.long);
            assert!(!flag.helps.is_empty(), "{}", flag.long);
        }
    }
}
