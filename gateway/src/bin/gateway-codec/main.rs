//! Runs one TS013 codec: a script comes on standard input, then messages, a line of JSON each; answers go to standard output.
//! Started by `gateway`, never by hand. What a script can do is bounded here, and by the kernel for all of this program.

mod engine;

use std::io::{BufRead, BufReader, Read, Write};

use gateway::sensors::script::{ANSWER_BYTES_MAX, Answer, Introduction, Question, SCRIPT_BYTES_MAX};
use rustix::process::{Resource, Rlimit, setrlimit};

/// All of this program's memory, bytes: the script's own limit many times over, in case that one fails.
const ADDRESS_SPACE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longest line from the parent: a script whose every character is escaped.
const LINE_BYTES_MAX: u64 = 8 * SCRIPT_BYTES_MAX;
/// Files that it may have open: its three pipes.
const FILES_MAX: u64 = 3;

fn main() -> anyhow::Result<()> {
    confine()?;
    let mut input = BufReader::new(std::io::stdin());
    let mut output = std::io::stdout();
    let Some(Introduction { script }) = next(&mut input)? else {
        return Ok(());
    };
    while let Some(question) = next::<Question>(&mut input)? {
        let answer = engine::answer(&script, &question);
        let mut line = serde_json::to_vec(&answer)?;
        if line.len() >= ANSWER_BYTES_MAX {
            let reason = format!("its answer is longer than {} KiB", ANSWER_BYTES_MAX / 1024);
            line = serde_json::to_vec(&Answer::Failed(reason))?;
        }
        line.push(b'\n');
        output.write_all(&line)?;
        output.flush()?;
    }
    Ok(())
}

/// No more memory than this, no files, no processes, no traces on the disk.
fn confine() -> anyhow::Result<()> {
    for (resource, most) in [
        (Resource::As, ADDRESS_SPACE_BYTES_MAX),
        (Resource::Nofile, FILES_MAX),
        (Resource::Nproc, 0),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

fn next<T: serde::de::DeserializeOwned>(input: &mut impl BufRead) -> anyhow::Result<Option<T>> {
    let mut line = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
