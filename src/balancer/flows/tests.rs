//! Flows by themselves.
