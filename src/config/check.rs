//! How a group's hosts are probed: attributes of `<group>` to a check, and back.
//!
//! Attributes, as `sticky` and its kin, and no element: a group has one check, and every attribute can be changed, compared
//! and saved by itself with what there is for attributes.

use super::attributes::{Shown, given};
use super::sockets::Texts;
use super::value::{self, show_time};
use crate::model::check::{Check, Exchange, Expect, Probe};

/// Reads the check; none: nothing is said of it.
pub(super) fn read<S: Texts>(texts: &mut S) -> Result<Option<Check>, S::Error> {
    let probe = texts.read("check", value::check_kind);
    // What does not fit a check that is wrong itself is not told.
    let kind = Kind::of(probe.as_ref().ok().map(Option::as_ref));
    let port = texts.read("check-port", |text| kind.asks("check-port").and_then(|()| value::port(text)));
    let send = texts.read("check-send", |text| kind.speaks("check-send").and_then(|()| value::payload(text)));
    let expect = texts.read("check-expect", |text| kind.speaks("check-expect").and_then(|()| value::expect(text)));
    let query = texts.read("check-query", |text| kind.queries().and_then(|()| value::question(text)));
    let interval =
        texts.read("check-interval", |text| kind.asks("check-interval").and_then(|()| value::positive_time(text)));
    let known = interval.as_ref().ok().copied().flatten();
    let timeout =
        texts.read("check-timeout", |text| kind.asks("check-timeout").and_then(|()| value::check_timeout(text, known)));
    let whole = texts.read("check", |_| {
        if matches!((kind, &send), (Kind::Udp, Ok(None))) {
            return Err(String::from("nothing is sent that could be answered; expected check-send, too"));
        }
        if matches!((kind, &query), (Kind::Dns, Ok(None))) {
            return Err(String::from("there is no name to ask for; expected check-query=\"NAME TYPE\", too"));
        }
        Ok(())
    });
    let Some(probe) = probe? else {
        return refusal_of([port.map(drop), send.map(drop), expect.map(drop), query.map(drop)])
            .and(refusal_of([interval.map(drop), timeout.map(drop)]))
            .map(|()| None);
    };
    whole?;
    let exchange = Exchange { send: send?.unwrap_or_default(), expect: expect? };
    let probe = match (probe, query?) {
        (Probe::Tcp(_), _) => Probe::Tcp(exchange),
        (Probe::Udp(_), _) => Probe::Udp(exchange),
        (Probe::Dns(_), Some(question)) => Probe::Dns(question),
        (probe, _) => probe,
    };
    Ok(Some(Check { probe, port: port?, interval: interval?, timeout: timeout? }))
}

fn refusal_of<E, const N: usize>(results: [Result<(), E>; N]) -> Result<(), E> {
    results.into_iter().collect()
}

/// What can be said of a check.
#[derive(Clone, Copy)]
enum Kind {
    /// It could not be read.
    Unknown,
    Absent,
    Passive,
    Tcp,
    Udp,
    Dns,
}

impl Kind {
    const fn of(probe: Option<Option<&Probe>>) -> Self {
        match probe {
            None => Self::Unknown,
            Some(None) => Self::Absent,
            Some(Some(Probe::Passive)) => Self::Passive,
            Some(Some(Probe::Tcp(_))) => Self::Tcp,
            Some(Some(Probe::Udp(_))) => Self::Udp,
            Some(Some(Probe::Dns(_))) => Self::Dns,
        }
    }

    fn asks(self, name: &str) -> Result<(), String> {
        match self {
            Self::Absent => {
                Err(String::from("the group has no check; expected check=\"tcp\", \"udp\" or \"dns\", too"))
            }
            Self::Passive => Err(format!("the check is none, which asks nothing; expected no {name}")),
            Self::Unknown | Self::Tcp | Self::Udp | Self::Dns => Ok(()),
        }
    }

    fn speaks(self, name: &str) -> Result<(), String> {
        self.asks(name)?;
        match self {
            Self::Dns => Err(format!("the check is dns, which asks for check-query; expected no {name}")),
            Self::Unknown | Self::Absent | Self::Passive | Self::Tcp | Self::Udp => Ok(()),
        }
    }

    fn queries(self) -> Result<(), String> {
        match self {
            Self::Unknown | Self::Dns => Ok(()),
            Self::Absent | Self::Passive | Self::Tcp | Self::Udp => {
                Err(String::from("only the check dns asks for names; expected check=\"dns\""))
            }
        }
    }
}

/// What a group says of it.
pub(super) fn shown(check: Option<&Check>) -> Shown {
    let Some(Check { probe, port, interval, timeout }) = check else { return Shown::new() };
    let (exchange, question) = match probe {
        Probe::Passive => (None, None),
        Probe::Tcp(exchange) | Probe::Udp(exchange) => (Some(exchange), None),
        Probe::Dns(question) => (None, Some(question)),
    };
    let send = exchange.map(|exchange| &exchange.send).filter(|send| !send.is_empty());
    let expect = exchange.and_then(|exchange| exchange.expect.as_ref());
    given([
        ("check", Some(probe.name().to_owned())),
        ("check-port", port.map(|port| port.to_string())),
        ("check-send", send.map(|send| value::escaped(send))),
        ("check-expect", expect.map(shown_expect)),
        ("check-query", question.map(value::shown_question)),
        ("check-interval", interval.map(show_time)),
        ("check-timeout", timeout.map(show_time)),
    ])
}

fn shown_expect(expect: &Expect) -> String {
    format!("{}{}", if expect.begins { "^" } else { "" }, value::escaped(&expect.bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{parse, write};
    use super::*;
    use crate::model::check::Question;

    fn file(attributes: &str) -> String {
        format!(
            "<director><service name='s'><listen ip='*:1'/>\n<group name='g' {attributes}><host ip='h:2'/></group>
             </service></director>"
        )
    }

    fn check(attributes: &str) -> Result<Option<Check>, String> {
        let mut config = parse(&file(attributes), "f").map_err(|errors| errors.to_string())?;
        let again = parse(&write(&config), "f").map_err(|errors| errors.to_string())?;
        assert_eq!(again, config, "it is written as it was read");
        Ok(config.services[0].groups.remove(0).check)
    }

    #[test]
    fn every_kind_of_check_is_read_and_written() {
        assert_eq!(check(""), Ok(None));
        assert_eq!(check("check='tcp'"), Ok(Some(Check::connect())));
        assert_eq!(check("check='none'"), Ok(Some(Check::usual(false))));
        let exchange =
            Exchange { send: b"PING\r\n".to_vec(), expect: Some(Expect { bytes: b"+PONG".to_vec(), begins: true }) };
        let attributes = r"check-port='6379' check-send='PING\r\n' check-expect='^+PONG' check-interval='2s'
                           check-timeout='500ms'";
        let whole = |probe| Check {
            probe,
            port: Some(6379),
            interval: Some(Duration::from_secs(2)),
            timeout: Some(Duration::from_millis(500)),
        };
        assert_eq!(check(&format!("check='tcp' {attributes}")), Ok(Some(whole(Probe::Tcp(exchange.clone())))));
        assert_eq!(check(&format!("check='udp' {attributes}")), Ok(Some(whole(Probe::Udp(exchange)))));
        let question = Question { name: String::from("example.com"), kind: 6 };
        let dns = Check { probe: Probe::Dns(question), ..Check::connect() };
        assert_eq!(check("check='dns' check-query='example.com. soa'"), Ok(Some(dns)));
    }

    #[test]
    fn what_does_not_go_together_is_refused_where_it_stands() {
        let wrong = |attributes: &str| check(attributes).unwrap_err();
        assert_eq!(
            wrong("check-port='53'"),
            "f:2:29: check-port=\"53\": the group has no check; expected check=\"tcp\", \"udp\" or \"dns\", too"
        );
        assert_eq!(
            wrong("check='none' check-interval='5s'"),
            "f:2:46: check-interval=\"5s\": the check is none, which asks nothing; expected no check-interval"
        );
        assert!(wrong("check='dns' check-query='a.b' check-send='x'").ends_with("expected no check-send"));
        assert!(wrong("check='tcp' check-query='a.b'").ends_with("expected check=\"dns\""));
        assert_eq!(
            wrong("check='udp'"),
            "f:2:24: check=\"udp\": nothing is sent that could be answered; expected check-send, too"
        );
        assert!(wrong("check='dns'").ends_with("expected check-query=\"NAME TYPE\", too"));
        assert!(wrong("check='tcp' check-interval='1s' check-timeout='2s'").ends_with("expected at most 1s"));
        assert!(wrong("check='tcp' check-port='0'").ends_with("not a port, expected 1 to 65535"));
    }

    #[test]
    fn one_mistake_is_told_once_and_every_one_is_told() {
        let wrong = |attributes: &str| check(attributes).unwrap_err();
        assert_eq!(
            wrong("check='udb' check-send='x' check-query='a.b'"),
            "f:2:24: check=\"udb\": unknown check, expected none, tcp, udp or dns; did you mean \"udp\"?"
        );
        assert_eq!(wrong(r"check='udp' check-send='\q'").lines().count(), 1);
        assert_eq!(
            wrong(r"check='tcp' check-port='x' check-send='\q' check-expect='' check-timeout='9s'").lines().count(),
            4
        );
    }
}
