//! PostgreSQL in a folder of its own, on a free port. Like `pg_ctl`, it refuses root: then it runs as user `postgres`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process::{Daemon, Ready, Spec, free_address, is_root, system_program};

/// The system user that Debian's package makes.
const SYSTEM_USER: &str = "postgres";

/// A running database server. Its data folder goes with it.
#[derive(Debug)]
pub struct Postgres {
    /// The process.
    pub daemon: Daemon,
    /// Where to connect: `postgres://...`.
    pub url: String,
    /// Dropped after the process, so that it never writes into a folder that is being removed.
    _folder: tempfile::TempDir,
}

/// Starts an empty database server.
pub async fn start() -> anyhow::Result<Postgres> {
    let folder = tempfile::Builder::new().prefix("parkir-postgres-").tempdir()?;
    if is_root() {
        let (uid, gid) = ids_of(SYSTEM_USER)?;
        chown(folder.path(), Some(uid), Some(gid))?;
    }
    let data = folder.path().join("data");
    initdb(&data)?;
    let address = free_address()?;
    let log = folder.path().join("log");
    let mut spec = Spec::new("postgres", program("postgres")?, log, Ready::Port(address));
    spec = spec
        .args(["-D"])
        .args([&data])
        .args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
    spec = spec
        .args(["-k"])
        .args([folder.path()])
        .args(["-c", "max_connections=60"]);
    spec.user = is_root().then(|| SYSTEM_USER.to_owned());
    spec.death_signal = "QUIT";
    let mut daemon = Daemon::start(spec).await?;
    daemon
        .wait_for_line("ready to accept connections", std::time::Duration::from_secs(30))
        .await?;
    let url = format!("postgres://kominfo@{address}/postgres");
    Ok(Postgres {
        daemon,
        url,
        _folder: folder,
    })
}

fn initdb(data: &Path) -> anyhow::Result<()> {
    let initdb = program("initdb")?;
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups", "--"]);
        command.arg(&initdb);
        command
    } else {
        Command::new(&initdb)
    };
    let output = command
        .arg("-D")
        .arg(data)
        .args(["-U", "kominfo", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
        .stdin(Stdio::null())
        .current_dir("/")
        .output()
        .with_context(|| format!("cannot run {}", initdb.display()))?;
    if !output.status.success() {
        bail!(
            "initdb failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// A PostgreSQL program: Debian keeps them by version outside of `PATH`.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    match found.pop() {
        Some(path) => Ok(path),
        None => system_program(name),
    }
}

fn ids_of(user: &str) -> anyhow::Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(user))
        .with_context(|| format!("no user {user}; the Debian package `postgresql` makes it"))?;
    let mut fields = line.split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    match (number(), number()) {
        (Some(uid), Some(gid)) => Ok((uid, gid)),
        _ => bail!("/etc/passwd: no numbers in \"{line}\""),
    }
}
