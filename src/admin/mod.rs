//! Front-ends: what people and programs say becomes a [`crate::model::command::Command`], and what comes back becomes
//! text. Nothing more: no front-end changes anything by itself, knows a reactor, or can slow one down. Each has a thread
//! of its own, which costs nothing while nobody asks.
//!
//! [`web`] is the page and the API: `http` reads and writes its protocol, `auth` says who asks, `api` what can be asked
//! ([`json`] is what it answers), and [`assets`] are the files of the page.

#![allow(clippy::wildcard_enum_match_arm, reason = "a front-end passes on what it does not look at")]

mod api;
pub mod assets;
mod auth;
pub mod control;
mod desk;
mod http;
pub mod json;
pub mod ssh;
pub mod web;
pub mod words;

pub use desk::Desk;
