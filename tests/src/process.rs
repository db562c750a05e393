//! Child processes that cannot outlive the test: killed on drop by their id, and by the kernel when the test dies.
//!
//! Every daemon writes its output to a file, so that a failed test can show the end of it. `setpriv --pdeathsig`
//! (util-linux) asks the kernel for the signal at the parent's death; it replaces itself by the program, so the
//! process id is the program's own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often a log file, a port or a process is looked at while it is awaited.
const POLL: Duration = Duration::from_millis(5);

/// How much of a log an error shows, bytes.
const LOG_TAIL_BYTES: usize = 4_000;

/// How one sees that a daemon does its work.
#[derive(Debug, Clone)]
pub enum Ready {
    /// A line of its output holds this text.
    Line(String),
    /// It accepts connections.
    Port(SocketAddr),
}

/// What to run, and how one sees that it is up.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name in messages.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set in its environment.
    pub variables: Vec<(String, String)>,
    /// The file that takes its output.
    pub log: PathBuf,
    /// When it counts as up.
    pub ready: Ready,
    /// System user to run it as, when the test runs as root and the program refuses to.
    pub user: Option<String>,
    /// Its group, if that has another name.
    pub group: Option<String>,
    /// Signal sent by the kernel when the test dies, by its name without `SIG`.
    pub death_signal: &'static str,
    /// How long it may take to be up.
    pub deadline: Duration,
    /// It and its children are a group of processes, which is killed as a whole.
    pub own_group: bool,
}

impl Spec {
    /// A program that is killed when the test dies and counts as up within 20 s when `ready` says so.
    pub fn new(name: &str, program: impl Into<PathBuf>, log: PathBuf, ready: Ready) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            args: Vec::new(),
            variables: Vec::new(),
            log,
            ready,
            user: None,
            group: None,
            death_signal: "KILL",
            deadline: Duration::from_secs(20),
            own_group: false,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, A>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", self.death_signal]);
        if let Some(user) = &self.user {
            let group = self.group.as_ref().unwrap_or(user);
            command.args(["--reuid", user, "--regid", group, "--init-groups"]);
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if self.own_group {
            command.process_group(0);
        }
        command
    }
}

/// A running (or just killed) daemon.
#[derive(Debug)]
pub struct Daemon {
    spec: Spec,
    child: Option<Child>,
    /// Where in the log the present run began.
    log_start: u64,
}

impl Daemon {
    /// Starts it and waits until it is up.
    pub async fn start(spec: Spec) -> anyhow::Result<Self> {
        let mut daemon = Self::spawn(spec)?;
        daemon.wait_ready().await?;
        Ok(daemon)
    }

    /// Starts it without waiting, for programs that are expected to fail.
    pub fn spawn(spec: Spec) -> anyhow::Result<Self> {
        let mut daemon = Self::prepared(spec);
        daemon.launch()?;
        Ok(daemon)
    }

    /// Does not start it yet; [`Daemon::restart`] will.
    pub fn prepared(spec: Spec) -> Self {
        Self {
            spec,
            child: None,
            log_start: 0,
        }
    }

    /// What it was started with; a change holds from the next restart.
    pub fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.spec.log)
            .with_context(|| format!("cannot open the log {}", self.spec.log.display()))?;
        self.log_start = log.metadata()?.len();
        let child = self
            .spec
            .command()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {} (setpriv, {})",
                    self.spec.name,
                    self.spec.program.display()
                )
            })?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it is up; fails with the end of its log when it ends or is too slow.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let ready = self.spec.ready.clone();
        let deadline = self.spec.deadline;
        match ready {
            Ready::Line(text) => self.wait_for_line(&text, deadline).await.map(drop),
            Ready::Port(address) => {
                self.wait_until(&format!("port {address} to open"), deadline, |_| {
                    Ok(TcpStream::connect(address).ok().map(drop))
                })
                .await
            }
        }
    }

    /// Waits until a line of the present run's output holds `text`, and returns that line.
    pub async fn wait_for_line(&mut self, text: &str, deadline: Duration) -> anyhow::Result<String> {
        self.wait_until(&format!("a line with \"{text}\""), deadline, |daemon| {
            let log = daemon.log_of_this_run()?;
            Ok(log.lines().find(|line| line.contains(text)).map(str::to_owned))
        })
        .await
    }

    async fn wait_until<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if let Some(status) = self.exit_status()? {
                bail!(
                    "{} ended ({status}) while waiting for {what}:\n{}",
                    self.spec.name,
                    self.log_tail()
                );
            }
            if begin.elapsed() > deadline {
                bail!(
                    "{} gave no {what} within {deadline:?}:\n{}",
                    self.spec.name,
                    self.log_tail()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its exit status, once it has ended by itself.
    pub fn exit_status(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Waits until it ends by itself.
    pub async fn wait_for_exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if begin.elapsed() > deadline {
                bail!("{} still runs after {deadline:?}:\n{}", self.spec.name, self.log_tail());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// kill -9, and waits until the kernel has let go of it.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            if self.spec.own_group {
                // Its number cannot be anybody else's before it is waited for. It may be empty already.
                kill_process_group(Pid::from_child(&child), Signal::KILL).ok();
            }
            child
                .kill()
                .with_context(|| format!("cannot kill {}", self.spec.name))?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again after [`Daemon::kill`] and waits until it is up.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.launch()?;
        self.wait_ready().await
    }

    /// Asks it to end (SIGTERM) and waits; kill -9 when it does not within `patience`.
    pub async fn terminate(&mut self, patience: Duration) -> anyhow::Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        kill_process(pid, Signal::TERM).with_context(|| format!("cannot signal {}", self.spec.name))?;
        if self.wait_for_exit(patience).await.is_err() {
            return self.kill();
        }
        self.child = None;
        Ok(())
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// Everything it has written since it was last started.
    pub fn log_of_this_run(&self) -> anyhow::Result<String> {
        let mut file = File::open(&self.spec.log)?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn log_tail(&self) -> String {
        let log = self.log_of_this_run().unwrap_or_default();
        let start = log.len().saturating_sub(LOG_TAIL_BYTES);
        let start = (start..log.len())
            .find(|at| log.is_char_boundary(*at))
            .unwrap_or(log.len());
        format!("--- end of {} ---\n{}", self.spec.log.display(), &log[start..])
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Runs a command to its end and returns what it printed; fails with its stderr when it does.
pub fn run<I, A>(program: impl AsRef<Path>, args: I) -> anyhow::Result<String>
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let output = output(program.as_ref(), args)?;
    if !output.status.success() {
        bail!(
            "{} failed ({}):\n{}{}",
            program.as_ref().display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command to its end, whatever that is.
pub fn output<I, A>(program: impl AsRef<Path>, args: I) -> anyhow::Result<Output>
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    Command::new(program.as_ref())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.as_ref().display()))
}

/// A loopback address with a port that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}

/// A program of this workspace, built beside the running executable.
pub fn workspace_program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "no program `{name}` beside {}; build it first: cargo build --workspace --bins",
            own.display()
        )
    })
}

/// A program of the system, looked for in `PATH` and the folders for administrators' programs.
pub fn system_program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("`{name}` is not installed; `./run test` installs what is missing"))
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Spec {
        let ready = Ready::Line("up".to_owned());
        Spec::new("shell", "/bin/sh", folder.join("log"), ready).args(["-c", script])
    }

    #[tokio::test]
    async fn a_daemon_is_up_at_its_line_and_gone_after_kill_and_again_up_after_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut daemon = Daemon::start(shell(folder.path(), "echo up; exec sleep 1000"))
            .await
            .unwrap();
        let first = daemon.pid().unwrap();
        daemon.kill().unwrap();
        assert!(rustix::process::test_kill_process(first).is_err(), "still there");
        daemon.restart().await.unwrap();
        assert_ne!(daemon.pid().unwrap(), first);
        let second = daemon.pid().unwrap();
        drop(daemon);
        assert!(
            rustix::process::test_kill_process(second).is_err(),
            "drop left it running"
        );
    }

    #[tokio::test]
    async fn a_daemon_that_ends_before_it_is_up_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = Daemon::start(shell(folder.path(), "echo no such luck; exit 3"))
            .await
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("no such luck") && text.contains('3'), "{text}");
    }

    #[tokio::test]
    async fn a_daemon_that_ignores_terminate_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        let mut daemon = Daemon::start(shell(folder.path(), script)).await.unwrap();
        let pid = daemon.pid().unwrap();
        daemon.terminate(Duration::from_millis(100)).await.unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err(), "still there");
    }
}
