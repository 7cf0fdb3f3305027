//! Front-ends: what people and programs say becomes a [`crate::model::command::Command`], and what comes back becomes
//! text. Nothing more: no front-end changes anything by itself, knows a reactor, or can slow one down. Each has a thread
//! of its own, which costs nothing while nobody asks.

pub mod control;
mod desk;
pub mod json;
pub mod ssh;
pub mod words;

pub use desk::Desk;
