//! Live view of one camera: what the box's own page and the city's portal have in common.
//!
//! [`command`] is how the city asks a box for a stream, [`link`] how the box sends it there. [`message`] is what goes over a WebSocket, [`fanout`] brings one stream to several viewers as a pure machine, [`hub`]
//! lets several tasks use it, [`player`] is what shows it in a browser.
//!
//! **Invariants.** No sockets, no HTTP, no files, no logging; only [`hub`] knows tokio. Signatures are made and
//! verified by `ledger`.

pub mod command;
pub mod fanout;
pub mod hub;
pub mod link;
pub mod message;
pub mod player;
