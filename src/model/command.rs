//! What an operator can ask of the running balancer.

/// Front-end to manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read the configuration file again and apply the difference, all or nothing. Legal at any time.
    Reload,
    /// Stop accepting, let connections finish up to the drain timeout, then end. Legal once; later ones change nothing.
    Shutdown,
    /// Log every counter, a line each. Legal at any time.
    LogCounters,
    /// Log what the reactors' loops did, a table with a column each. Legal at any time.
    LogLoops,
}
