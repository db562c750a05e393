//! The mode `pictures`: keyframes in, features and JPEG out.
use crate::link::Link;
pub fn run(link: Link) -> anyhow::Result<()> { drop(link); Ok(()) }
