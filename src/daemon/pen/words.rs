//! What is told about options and commands that have no equal, or another one than an attribute. No comment of a file may
//! have two dashes, so flags are named without them.

const TLS: &str = "Director does not end TLS: the bytes pass through to the hosts, which have to speak it themselves; \
                   where they do not, put a program that ends TLS in between, or do not move this service yet";
const OBSOLETE: &str = "pen ignores it, and so may you";
/// Of commands that only ask.
pub(super) const ASKS: &str =
    "it asks for something and sets nothing; directorctl status, sessions and config show answer now";
const EVENTS: &str = "Director waits with epoll, which is the only way and the fastest on Linux";

/// Of pen's log of what clients send.
const LOG: &str = "<access-log> has a line for each connection, when it has ended; pen's for each piece that a client sends \
                   has no equal, because what clients send is not looked at";
const STATUS: &str = "the option status-file of director; the page of <admin> with <web> shows more";
/// Of a control port.
pub(super) const TCP_CONTROL: &str = "over TCP nobody is asked who he is, so the control is a socket in the file system: \
                                      add <control socket=\"/run/director.sock\"/> for directorctl, or <admin> with <web> \
                                      for the page and the API, with passwords";

/// About an option of one letter; none: it is translated whole.
pub(super) const fn option(short: char) -> Option<&'static str> {
    Some(match short {
        'a' => "payload is never dumped; tcpdump -A shows what passes",
        'A' | 'E' | 'G' | 'K' | 'L' | 'R' | 'Z' => TLS,
        'd' => "the option log-level debug of director says more in the log; payload is never logged",
        'D' | 'n' | 'Q' | 'S' => OBSOLETE,
        'f' => "director is always in the foreground; conf/director.service lets systemd run it",
        'H' => {
            "nothing is added to HTTP; proxy=\"v1\" or \"v2\" of <group> tells hosts that know the PROXY protocol who \
                their client is"
        }
        'i' => "it is for Windows, and director for Linux; conf/director.service is the service here",
        'j' => "the option chroot of director",
        'l' => LOG,
        'm' => "the option accept-batch of director, for each listener and turn",
        'p' => "the option pidfile of director",
        'P' => EVENTS,
        'u' => "the option user of director",
        'w' => STATUS,
        'X' => "nobody ends director through its control; systemctl stop and SIGTERM do, and let connections finish",
        _ => return None,
    })
}

/// About a command by its first word, `no` left out; none: it is not a command of pen's, or is translated.
pub(super) fn command(name: &str) -> Option<&'static str> {
    Some(match name {
        "abort_on_error" => "director does not end when something goes wrong with a connection",
        "ascii" => "payload is never dumped; tcpdump -A shows what passes",
        "block" | "delayed_forward" => "pen itself no longer knows it",
        "close" => "it is for a running pen; directorctl kill cuts a session",
        "connection" | "control" | "mode" | "pid" | "recent" | "servers" | "socket" => ASKS,
        "debug" => "the option log-level debug of director says more in the log; payload is never logged",
        "dsr_if" | "dsr_ip" => "Director has no direct server return: answers come back through it",
        "dummy" => "Director answers nobody itself; a host for emergencies can",
        "epoll" | "kqueue" | "poll" | "select" => EVENTS,
        "exit" => "it is for a running pen; systemctl stop and SIGTERM end director, and let connections finish",
        "http" => {
            "nothing is added to HTTP; proxy=\"v1\" or \"v2\" of <group> tells hosts that know the PROXY protocol who \
                   their client is"
        }
        "idlers" => "no connections are held ready: a connection to a host is made for its client",
        "log" => LOG,
        "peek" => "it is unfinished in pen, too: a host is chosen before anything is read",
        "pending_max" => "there is no such limit: connects that wait keep nobody from being accepted",
        "ssl_ciphers" | "ssl_client_renegotiation_interval" | "ssl_ocsp_response" | "ssl_option" | "ssl_sni_path" => {
            TLS
        }
        "status" => ASKS,
        "web_stats" => STATUS,
        "tarpit_acl" => "Director holds no such clients; a list closes them at once",
        "tcp_nodelay" => "it is always on",
        "transparent" => {
            "Director connects from its own addresses; proxy=\"v1\" or \"v2\" of <group> tells hosts that know \
                          the PROXY protocol who their client is"
        }
        "write" => "it is for a running pen; directorctl config save writes the file",
        _ => return None,
    })
}
