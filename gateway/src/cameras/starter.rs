//! Starts processes from one thread that lives as long as this program.
//!
//! A worker asks the kernel to be killed when its parent ends, and the kernel takes the thread that started it for the
//! parent (`PR_SET_PDEATHSIG` in prctl(2)). Threads of the runtime come and go.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;

struct Job {
    command: Command,
    runtime: Handle,
    started: SyncSender<io::Result<Child>>,
}

/// The thread's end for everybody else; it ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Starter(Sender<Job>);

impl Starter {
    /// Starts the thread.
    pub(super) fn new() -> io::Result<Self> {
        let (jobs, queue) = channel();
        std::thread::Builder::new()
            .name("starter".to_owned())
            .spawn(move || run(&queue))?;
        Ok(Self(jobs))
    }

    /// Starts a process, which belongs to the runtime of the caller.
    pub(super) fn start(&self, command: Command) -> io::Result<Child> {
        let (started, child) = sync_channel(1);
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let job = Job {
            command,
            runtime,
            started,
        };
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.0.send(job).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }
}

fn run(queue: &Receiver<Job>) {
    while let Ok(Job {
        mut command,
        runtime,
        started,
    }) = queue.recv()
    {
        let _context = runtime.enter();
        // Nobody takes it: then the child is killed as it is dropped.
        started.send(command.spawn()).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_belongs_to_whoever_asked_and_a_failure_is_told() {
        let starter = Starter::new().unwrap();
        let mut child = starter.start(Command::new("true")).unwrap();
        assert!(child.wait().await.unwrap().success());
        let error = starter.start(Command::new("/nowhere/program")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
