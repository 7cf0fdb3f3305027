//! Options of sockets as the configuration and the command line name and write them.
//!
//! Both read through [`Texts`], so that `keepalive="60s,10s,3"` and `--keepalive 60s,10s,3` are one thing.

use super::{Address, Listen, Rights};
use crate::model::datagram::Protocols;
use crate::model::socket_options::{ConnectOptions, ListenOptions, StreamOptions};

use super::value::{self, show_bytes, show_keepalive, show_sources, show_time};

/// Where options are read from: the attributes of an element, or the flags of a command line.
pub(crate) trait Texts {
    /// A text that was refused, or the note that it was.
    type Error;

    /// What `parse` makes of the text of that name; none: it is not there.
    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Self::Error>;
}

/// Reads the options of a listener. All texts are looked at, whatever is wrong with the first.
pub(crate) fn listen_options<S: Texts>(texts: &mut S) -> Result<ListenOptions, S::Error> {
    let backlog = texts.read("backlog", value::backlog);
    let defer_accept = texts.read("defer-accept", value::defer_accept);
    let fastopen = texts.read("fastopen", value::fastopen_queue);
    let stream = stream_options(texts);
    Ok(ListenOptions { backlog: backlog?, defer_accept: defer_accept?, fastopen: fastopen?, stream: stream? })
}

/// Reads the options of connections to hosts; the command line has another name for `fastopen`.
pub(crate) fn connect_options<S: Texts>(fastopen: &'static str, texts: &mut S) -> Result<ConnectOptions, S::Error> {
    let source = texts.read("source", value::sources);
    let fastopen = texts.read(fastopen, value::boolean);
    let stream = stream_options(texts);
    Ok(ConnectOptions { fastopen: fastopen?, source: source?, proxy: None, stream: stream? })
}

/// As [`connect_options`], of a group or host, with what no command line says.
pub(super) fn host_options<S: Texts>(texts: &mut S) -> Result<ConnectOptions, S::Error> {
    let proxy = texts.read("proxy", value::announce);
    let options = connect_options("fastopen", texts);
    Ok(ConnectOptions { proxy: proxy?, ..options? })
}

/// Reads who may connect to a socket that is a file.
pub(super) fn rights<S: Texts>(texts: &mut S) -> Result<Rights, S::Error> {
    let mode = texts.read("mode", value::file_mode);
    let group = texts.read("group", value::name);
    Ok(Rights { mode: mode?, group: group? })
}

/// Those that are said, each with its name, as they are read.
pub(super) fn shown_rights(rights: &Rights) -> Vec<(&'static str, String)> {
    let own = [("mode", rights.mode.map(|mode| format!("{mode:04o}"))), ("group", rights.group.clone())];
    own.into_iter().filter_map(given).collect()
}

/// The options that a socket of datagrams has.
const OF_DATAGRAMS: [&str; 3] = ["busy-poll", "receive-buffer", "send-buffer"];

/// What a listener at this address says that it cannot have: the attribute, and why.
pub(super) fn unfit_listen(listen: &Listen) -> Option<(&'static str, String)> {
    let Listen { address, protocol, options, proxy, rights } = listen;
    let takes_datagrams = *protocol != Protocols::Tcp;
    if takes_datagrams && (proxy.is_some() || matches!(address, Address::Unix(_))) {
        let (given, of) =
            if proxy.is_some() { ("proxy", "a PROXY header") } else { ("ip", "a socket of this machine") };
        return Some((given, format!("{of} is for connections, expected protocol=\"tcp\" or none beside it")));
    }
    if *protocol == Protocols::Udp
        && let Some((given, _)) = shown_listen(options).into_iter().find(|(name, _)| !OF_DATAGRAMS.contains(name))
    {
        return Some((given, format!("{given} is for connections, expected none beside protocol=\"udp\"")));
    }
    let Address::Unix(name) = address else {
        let (given, _) = shown_rights(rights).into_iter().next()?;
        return Some((given, format!("{given} is for a socket that is a file, expected ip=\"unix:/PATH\" beside it")));
    };
    let unfit = unfit(&shown_listen(options), &["backlog", "receive-buffer", "send-buffer"]);
    unfit.or_else(|| {
        let (given, _) = shown_rights(rights).into_iter().next().filter(|_| name.path().is_none())?;
        let what =
            "is for a socket that is a file, and the name is abstract: everybody of this machine may connect to it";
        Some((given, format!("{given} {what}")))
    })
}

/// As [`unfit_listen`], of a host.
pub(super) fn unfit_connect(address: &Address, options: &ConnectOptions) -> Option<(&'static str, String)> {
    matches!(address, Address::Unix(_)).then_some(())?;
    unfit(&shown_connect(options), &["proxy", "receive-buffer", "send-buffer"])
}

fn unfit(shown: &[(&'static str, String)], fit: &[&str]) -> Option<(&'static str, String)> {
    let (given, _) = shown.iter().find(|(name, _)| !fit.contains(name))?;
    Some((given, format!("{given} is for TCP, expected none for a socket of this machine")))
}

fn stream_options<S: Texts>(texts: &mut S) -> Result<StreamOptions, S::Error> {
    let user_timeout = texts.read("user-timeout", value::user_timeout);
    let keepalive = texts.read("keepalive", value::keepalive);
    let congestion = texts.read("congestion", value::congestion);
    let notsent_lowat = texts.read("notsent-lowat", value::notsent_lowat);
    let busy_poll = texts.read("busy-poll", value::busy_poll);
    let receive_buffer = texts.read("receive-buffer", value::socket_buffer);
    let send_buffer = texts.read("send-buffer", value::socket_buffer);
    let quick_ack = texts.read("quick-ack", value::boolean);
    Ok(StreamOptions {
        user_timeout: user_timeout?,
        keepalive: keepalive?,
        congestion: congestion?,
        notsent_lowat: notsent_lowat?,
        busy_poll: busy_poll?,
        receive_buffer: receive_buffer?,
        send_buffer: send_buffer?,
        quick_ack: quick_ack?,
    })
}

/// The options that a listener has, each with its name, as they are read.
pub(super) fn shown_listen(options: &ListenOptions) -> Vec<(&'static str, String)> {
    let own = [
        ("backlog", options.backlog.map(|backlog| backlog.to_string())),
        ("defer-accept", options.defer_accept.map(show_time)),
        ("fastopen", options.fastopen.map(|queue| queue.to_string())),
    ];
    own.into_iter().chain(shown_stream(&options.stream)).filter_map(given).collect()
}

/// The options that a host or group has, each with its name, as they are read.
pub(super) fn shown_connect(options: &ConnectOptions) -> Vec<(&'static str, String)> {
    let own = [
        ("source", options.source.as_ref().map(show_sources)),
        ("fastopen", options.fastopen.map(|on| on.to_string())),
        ("proxy", options.proxy.map(|announce| announce.name().to_owned())),
    ];
    own.into_iter().chain(shown_stream(&options.stream)).filter_map(given).collect()
}

fn shown_stream(options: &StreamOptions) -> [(&'static str, Option<String>); 8] {
    let size = |bytes: u32| show_bytes(bytes.into());
    [
        ("user-timeout", options.user_timeout.map(show_time)),
        ("keepalive", options.keepalive.map(show_keepalive)),
        ("congestion", options.congestion.map(|name| name.as_str().to_owned())),
        ("notsent-lowat", options.notsent_lowat.map(size)),
        ("busy-poll", options.busy_poll.map(|micros| micros.to_string())),
        ("receive-buffer", options.receive_buffer.map(size)),
        ("send-buffer", options.send_buffer.map(size)),
        ("quick-ack", options.quick_ack.map(|on| on.to_string())),
    ]
}

fn given((name, value): (&'static str, Option<String>)) -> Option<(&'static str, String)> {
    value.map(|value| (name, value))
}
