//! The mode `elements`: says which of GStreamer's elements are missing. See [`gateway::cameras::elements`].

use std::io::Write as _;

use anyhow::Context;
use gateway::cameras::elements::ELEMENTS;

/// Prints the version and each missing element on a line.
pub fn run() -> anyhow::Result<()> {
    gstreamer::init().context("GStreamer does not start")?;
    super::register_muxer()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?;
    for element in ELEMENTS {
        if gstreamer::ElementFactory::find(element.name).is_none() {
            writeln!(out, "{}", element.name)?;
        }
    }
    Ok(())
}
