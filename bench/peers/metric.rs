//! The figures of the tables.

use crate::case::Bulk;

/// A share of the requests that were not slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantile {
    P50,
    P90,
    P99,
    P999,
}

impl Quantile {
    pub(crate) const ALL: [Self; 4] = [Self::P50, Self::P90, Self::P99, Self::P999];

    pub(crate) fn per_mille(self) -> usize {
        match self {
            Self::P50 => 500,
            Self::P90 => 900,
            Self::P99 => 990,
            Self::P999 => 999,
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }
}

/// What the values of a figure are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
    /// A ratio of two of them says nothing: they are differences near 0, or already shares.
    NoRatio,
}

/// A figure, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    Connections,
    ConnectionCpu,
    ConnectionSwitches,
    Syscalls,
    Requests,
    RequestCpu,
    RequestSwitches,
    Pages,
    PageCpu,
    Throughput(Bulk),
    BulkCpu(Bulk),
    Latency(Quantile),
    /// Over direct connections in the same round.
    Added(Quantile),
    /// What a request at the fixed rate costs: mostly wake-ups.
    RateCpu,
    /// How late the load generator itself was.
    Late(Quantile),
    IdleMemory,
    /// The kernel's share for a connection from end to end, clients and hosts included.
    IdleKernel,
    /// User memory, and the kernel's share without that of a direct connection.
    IdleWhole,
    Mice(Quantile),
    Fairness,
    Elephants,
    /// With so many hosts.
    HostsCpu(usize),
    /// With so many open connections.
    OpenCpu(usize),
    /// From the fewest to the most open connections.
    OpenGrowth,
    /// With a request under way on each of so many connections.
    BusyCpu(usize),
    BusyGrowth,
}

impl Metric {
    /// The row of the table: what, and in which unit.
    pub(crate) fn label(self) -> String {
        let label = match self {
            Self::Connections => "short connections/s",
            Self::ConnectionCpu => "CPU µs a short connection",
            Self::ConnectionSwitches => "context switches a short connection",
            Self::Syscalls => "system calls a short connection",
            Self::Requests => "requests/s on kept connections",
            Self::RequestCpu => "CPU µs a request",
            Self::RequestSwitches => "context switches a request",
            Self::Pages => "requests/s with 16 KiB answers",
            Self::PageCpu => "CPU µs a request with a 16 KiB answer",
            Self::Throughput(bulk) => return format!("Gbit/s, {}", bulk.label()),
            Self::BulkCpu(bulk) => return format!("CPU s a GB, {}", bulk.label()),
            Self::Latency(quantile) => return format!("latency {}, µs", quantile.label()),
            Self::Added(quantile) => return format!("added over direct, {}, µs", quantile.label()),
            Self::RateCpu => "CPU µs a request at the fixed rate",
            Self::Late(quantile) => return format!("requests sent late, {}, µs", quantile.label()),
            Self::IdleMemory => "user bytes an idle pair",
            Self::IdleKernel => "kernel bytes an idle connection, both ends included",
            Self::IdleWhole => "user and kernel bytes an idle pair",
            Self::Mice(quantile) => return format!("beside 8 streams, one thread: {}, µs", quantile.label()),
            Self::Fairness => "fairness of those 8 streams (Jain)",
            Self::Elephants => "Gbit/s of those 8 streams",
            Self::HostsCpu(hosts) => return format!("CPU µs a short connection, {hosts} hosts"),
            Self::OpenCpu(open) => return format!("CPU µs a request, {open} open connections"),
            Self::OpenGrowth => "CPU a request, most to fewest open connections",
            Self::BusyCpu(busy) => return format!("CPU µs a request, {busy} busy connections"),
            Self::BusyGrowth => "CPU a request, most to fewest busy connections",
        };
        label.to_owned()
    }

    /// Digits after the point that mean something.
    pub(crate) fn decimals(self) -> usize {
        match self {
            Self::Connections | Self::Requests | Self::Pages => 0,
            Self::IdleMemory | Self::IdleKernel | Self::IdleWhole => 0,
            Self::Latency(_) | Self::Added(_) | Self::Late(_) | Self::Mice(_) => 0,
            Self::ConnectionCpu | Self::RequestCpu | Self::PageCpu | Self::RateCpu | Self::Syscalls => 1,
            Self::HostsCpu(_) | Self::OpenCpu(_) | Self::BusyCpu(_) => 1,
            Self::ConnectionSwitches | Self::RequestSwitches => 2,
            Self::OpenGrowth | Self::BusyGrowth => 2,
            Self::Throughput(_) | Self::Elephants => 2,
            Self::BulkCpu(_) | Self::Fairness => 3,
        }
    }

    pub(crate) fn better(self) -> Better {
        match self {
            Self::Connections | Self::Requests | Self::Pages | Self::Throughput(_) | Self::Elephants => Better::Higher,
            Self::Added(_) | Self::Late(_) | Self::IdleKernel | Self::Fairness => Better::NoRatio,
            Self::OpenGrowth | Self::BusyGrowth => Better::NoRatio,
            Self::ConnectionCpu
            | Self::ConnectionSwitches
            | Self::Syscalls
            | Self::RequestCpu
            | Self::RequestSwitches
            | Self::PageCpu
            | Self::BulkCpu(_)
            | Self::Latency(_)
            | Self::RateCpu
            | Self::IdleMemory
            | Self::IdleWhole
            | Self::Mice(_)
            | Self::HostsCpu(_)
            | Self::OpenCpu(_)
            | Self::BusyCpu(_) => Better::Lower,
        }
    }
}
