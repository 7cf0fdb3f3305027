//! The names of the schedulers.

use std::fmt;

/// How a group chooses a host for the next client. The rules are in `balancer::scheduler`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchedulerKind {
    /// Uniformly among the available hosts.
    Random,
    /// A B C A B C … in the order of the file, over all reactors and listeners.
    #[default]
    RoundRobin,
    /// Fewest open connections; equal: the lowest address.
    LeastConns,
    /// Fewest open connections; equal: the one whose last connection closed longest ago.
    LeastConnsRr,
    /// Smooth weighted round robin.
    Weighted,
    /// Random in proportion to weight.
    WeightR,
    /// Fewest open connections per weight.
    WeightLc,
    /// Two random hosts, the one with fewer open connections per weight.
    P2c,
    /// By the client's network, through a table of places that is the same on every director.
    Maglev,
}

impl SchedulerKind {
    /// Every scheduler, in the order in which help texts list them.
    pub const ALL: [Self; 9] = [
        Self::Random,
        Self::RoundRobin,
        Self::LeastConns,
        Self::LeastConnsRr,
        Self::Weighted,
        Self::WeightR,
        Self::WeightLc,
        Self::P2c,
        Self::Maglev,
    ];

    /// The name that Director writes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "roundrobin",
            Self::LeastConns => "leastconns",
            Self::LeastConnsRr => "leastconnsrr",
            Self::Weighted => "weighted",
            Self::WeightR => "weightr",
            Self::WeightLc => "weightlc",
            Self::P2c => "p2c",
            Self::Maglev => "maglev",
        }
    }

    /// The scheduler of that name, the ancestors' spellings included (`rand`, `roundr`, `leastc`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "rand" => Some(Self::Random),
            "roundr" => Some(Self::RoundRobin),
            "leastc" => Some(Self::LeastConnsRr),
            _ => Self::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
