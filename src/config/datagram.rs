//! Datagrams: attributes of `<listen>` and `<service>` to values, and back.

use std::time::Duration;

use super::attributes::{Shown, given, unless};
use super::sockets::Texts;
use super::suggest::{closest, hint};
use super::value::{self, show_time};
use crate::model::datagram::{FlowRules, Protocols, SessionKind};

/// What a service says of its flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowConfig {
    /// What goes to one host together.
    pub session: SessionKind,
    /// Answers to each datagram of a client, after which its flow has ended.
    pub responses: Option<u32>,
    /// The silence that ends a flow; none: [`crate::model::limits::FLOW_TIMEOUT`].
    pub timeout: Option<Duration>,
}

impl FlowConfig {
    /// With the defaults of what it does not say.
    #[must_use]
    pub fn rules(&self) -> FlowRules {
        let usual = FlowRules::default();
        FlowRules { kind: self.session, responses: self.responses, timeout: self.timeout.unwrap_or(usual.timeout) }
    }
}

/// Reads a service's.
pub(super) fn flows<S: Texts>(texts: &mut S) -> Result<FlowConfig, S::Error> {
    let session = texts.read("session", session);
    let responses = texts.read("responses", value::responses);
    let timeout = texts.read("flow-timeout", value::positive_time);
    Ok(FlowConfig { session: session?.unwrap_or_default(), responses: responses?, timeout: timeout? })
}

/// Reads a listener's protocols.
pub(super) fn protocol<S: Texts>(texts: &mut S) -> Result<Protocols, S::Error> {
    texts.read("protocol", protocols).map(Option::unwrap_or_default)
}

/// What a service says that is not as usual.
pub(super) fn shown_flows(flows: &FlowConfig) -> Shown {
    given([
        ("session", unless(flows.session, SessionKind::default()).map(|kind| kind.name().to_owned())),
        ("responses", flows.responses.map(|responses| responses.to_string())),
        ("flow-timeout", flows.timeout.map(show_time)),
    ])
}

/// A listener's protocols, if they are not as usual.
pub(super) fn shown_protocol(protocol: Protocols) -> Shown {
    given([("protocol", unless(protocol, Protocols::default()).map(|protocol| protocol.name().to_owned()))])
}

/// What a listener takes in.
pub(super) fn protocols(text: &str) -> Result<Protocols, String> {
    let text = text.trim();
    Protocols::ALL.into_iter().find(|known| known.name() == text).ok_or_else(|| {
        let hint = hint(closest(text, Protocols::ALL.map(Protocols::name)));
        format!("unknown protocol, expected tcp, udp or tcp+udp{hint}")
    })
}

fn session(text: &str) -> Result<SessionKind, String> {
    let text = text.trim();
    SessionKind::ALL.into_iter().find(|known| known.name() == text).ok_or_else(|| {
        let hint = hint(closest(text, SessionKind::ALL.map(SessionKind::name)));
        format!("unknown kind of session, expected flow or packet{hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Service, parse, write};
    use super::*;

    fn service(attributes: &str, listen: &str) -> Result<Service, String> {
        let text = format!(
            "<director><service name='s' {attributes}><listen ip='*:1' {listen}/>
             <group name='g'><host ip='h:2'/></group></service></director>"
        );
        let mut config = parse(&text, "f").map_err(|errors| errors.to_string())?;
        assert_eq!(parse(&write(&config), "f").as_ref(), Ok(&config));
        Ok(config.services.remove(0))
    }

    #[test]
    fn every_attribute_is_read_and_written() {
        let read = service("session='packet' responses='2' flow-timeout='5s'", "protocol='tcp+udp'").unwrap();
        let timeout = Some(Duration::from_secs(5));
        assert_eq!(read.flows, FlowConfig { session: SessionKind::Packet, responses: Some(2), timeout });
        assert_eq!(read.listens[0].protocol, Protocols::Both);
        let usual = service("session='flow'", "protocol='tcp'").unwrap();
        assert_eq!((usual.flows, usual.listens[0].protocol), (FlowConfig::default(), Protocols::Tcp));
        assert_eq!(usual.flows.rules(), FlowRules::default());
    }

    #[test]
    fn what_cannot_be_read_says_what_was_expected() {
        let wrong = |attributes: &str, listen: &str| service(attributes, listen).unwrap_err();
        assert!(wrong("", "protocol='upd'").ends_with("expected tcp, udp or tcp+udp; did you mean \"udp\"?"));
        assert!(wrong("session='paket'", "").ends_with("expected flow or packet; did you mean \"packet\"?"));
        assert!(wrong("responses='-1'", "").ends_with("expected 0 to 65535"));
        assert!(wrong("flow-timeout='0'", "").contains("flow-timeout"));
    }
}
