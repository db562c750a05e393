//! The worker of one or a few cameras, or of pictures, or of a publication: whatever touches a codec or a camera's bytes.
//!
//! `gateway run` starts it with a Unix socket as standard input and says there what to do (`gateway::cameras::wire`). It
//! is a process of its own so that a crash, a leak or a hang in a codec costs a camera some seconds, and the ledger
//! nothing. It keeps no files, and no secret reaches it by argument or environment. When the socket closes, it stops.
//!
//! | mode | what it does |
//! | --- | --- |
//! | `ingest` | RTSP in, CMAF chunks out |
//! | `pictures` | keyframes in, masked JPEG and features out |
//! | `publish` | CMAF in, RTSP RECORD out |
//! | `plugins` | says which of GStreamer's plugins are missing; for `gateway check`, without a socket |

mod ingest;
mod link;
mod mux;
mod pace;
mod pictures;
mod plugins;
mod publish;
mod stream;
mod timeline;

use std::process::ExitCode;

use anyhow::Context;
use link::Link;

/// How much more likely than others this process is to be killed for want of memory: from 0 to 1000.
const OOM_SCORE_ADJ: &str = "800";

fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match run(&mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent takes what is written here into its own log.
            let mut out = std::io::stderr().lock();
            drop(std::io::Write::write_fmt(&mut out, format_args!("{error:#}\n")));
            ExitCode::FAILURE
        }
    }
}

fn run(mode: &str) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("cannot ask the kernel to end this process with its parent")?;
    if mode == "plugins" {
        return plugins::tell_missing();
    }
    let work: fn(Link) -> anyhow::Result<()> = match mode {
        "ingest" => stream::run,
        "pictures" => pictures::run,
        "publish" => publish::run,
        _ => anyhow::bail!(
            "\"{mode}\" is no mode of this worker\n  hint: it is started by `gateway run`, not by hand; see `gateway cameras --help`"
        ),
    };
    // When memory runs out, the kernel is to take a camera and not the ledger (proc(5)). Where that cannot be asked for,
    // it chooses by itself.
    std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ).ok();
    let link = Link::open()?;
    gstreamer::init().context("GStreamer does not start")?;
    work(link)
}

/// Registers the muxer, which is part of this program.
fn register_muxer() -> anyhow::Result<()> {
    gstfmp4::plugin_register_static().context("the CMAF muxer cannot be registered")
}

/// Now by `CLOCK_BOOTTIME`, nanoseconds: the clock that parent and worker share.
fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
