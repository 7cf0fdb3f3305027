//! The things that are measured, in the order of a round.

use crate::target::Kind;

/// Streams as fast as they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bulk {
    /// To the hosts; otherwise from them.
    pub(crate) up: bool,
    pub(crate) streams: usize,
}

impl Bulk {
    pub(crate) const ONE: Self = Self { up: false, streams: 1 };
    pub(crate) const MANY: Self = Self { up: false, streams: 16 };
    pub(crate) const ONE_UP: Self = Self { up: true, streams: 1 };
    pub(crate) const MANY_UP: Self = Self { up: true, streams: 16 };
    pub(crate) const ALL: [Self; 5] =
        [Self::ONE, Self { up: false, streams: 4 }, Self::MANY, Self::ONE_UP, Self::MANY_UP];

    /// As it is chosen on the command line: `bulk4`, `up16`.
    fn name(self) -> String {
        format!("{}{}", if self.up { "up" } else { "bulk" }, self.streams)
    }

    /// As it is shown.
    pub(crate) fn label(self) -> String {
        let streams = if self.streams == 1 { "1 stream".to_owned() } else { format!("{} streams", self.streams) };
        format!("{streams} {}", if self.up { "up" } else { "down" })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// A connection for every request; the host closes.
    Short,
    /// Requests one after another on connections that stay, with small answers.
    Kept,
    /// The same with answers of 16 KiB.
    Page,
    Bulk(Bulk),
    /// Requests at a fixed rate, each timed from when it was due.
    Latency,
    /// Many connections that do nothing.
    Idle,
    /// Small requests beside streams as fast as they go, all on one thread of the balancer.
    Mice,
    /// Short connections with ever more hosts to choose from.
    Hosts,
    /// Requests on ever more open connections.
    Connections,
    /// System calls of short connections, counted by strace.
    Syscalls,
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Short, Self::Kept, Self::Page];
        all.extend(Bulk::ALL.map(Self::Bulk));
        all.extend([Self::Latency, Self::Idle, Self::Mice, Self::Hosts, Self::Connections, Self::Syscalls]);
        all
    }

    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::Short => "short",
            Self::Kept => "kept",
            Self::Page => "page",
            Self::Bulk(bulk) => return bulk.name(),
            Self::Latency => "latency",
            Self::Idle => "idle",
            Self::Mice => "mice",
            Self::Hosts => "hosts",
            Self::Connections => "connections",
            Self::Syscalls => "syscalls",
        };
        name.to_owned()
    }

    /// Whether `word` of the command line means it: its name, or that of its group.
    pub(crate) fn is_called(self, word: &str) -> bool {
        self.name() == word || matches!(self, Self::Bulk(_)) && word == "bulk"
    }

    /// How often all targets have their turn within a round, with that part of the time each.
    pub(crate) fn slices(self) -> u32 {
        // The slower moods of a machine last for seconds; short slices let each of them meet all targets.
        if self == Self::Latency { 4 } else { 1 }
    }

    /// Whether the case says something about such a target that is worth its time.
    pub(crate) fn suits(self, kind: Kind) -> bool {
        match kind {
            Kind::Bare | Kind::Director | Kind::Nginx | Kind::Haproxy => true,
            // Without a balancer there is nothing whose processor time or calls could be counted.
            Kind::Direct => !matches!(self, Self::Hosts | Self::Connections | Self::Syscalls),
            // It differs from the bare relay in how it moves bytes, and nowhere else.
            Kind::BareSplice => matches!(self, Self::Bulk(_)),
            // It differs from nginx in what an end of stream does, and nowhere else.
            Kind::NginxHalfClose => {
                matches!(self, Self::Short | Self::Kept | Self::Page | Self::Latency | Self::Syscalls)
            }
            // It allocates for all connections at its start, so that what one takes is not seen when it comes, and has no
            // threads to share a load with.
            Kind::Pen => !matches!(self, Self::Idle | Self::Mice | Self::Hosts | Self::Connections),
        }
    }
}
