//! A PostgreSQL server for the tests of one program: started once, ended with the program, whatever ends it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

struct Server {
    socket: PathBuf,
    /// Its standard input closes when this program ends, and that ends the server.
    _child: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The address of a new, empty database.
pub async fn new_database() -> String {
    sqlx::any::install_default_drivers();
    let server = SERVER.get_or_init(start);
    let address = |database: &str| {
        format!(
            "postgres://kominfo@localhost/{database}?host={}",
            server.socket.display()
        )
    };
    let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let options: sqlx::any::AnyConnectOptions = address("postgres").parse().unwrap();
    let mut tries = 0;
    let mut connection = loop {
        match options.connect().await {
            Ok(connection) => break connection,
            // The server says nothing when it is ready but by answering.
            Err(error) => {
                tries += 1;
                assert!(tries < 300, "PostgreSQL does not answer: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    address(&name)
}

fn start() -> Server {
    let programs = newest_programs();
    let folder = tempfile::Builder::new().prefix("kominfo-pg").tempdir().unwrap().keep();
    let data = folder.join("data");
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    // The server refuses to run as root.
    let as_postgres: &[&str] = if is_root {
        &[
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ]
    } else {
        &[]
    };
    if is_root {
        run(Command::new("chown").arg("postgres").arg(&folder));
    }
    let mut initdb = Command::new(as_postgres.first().copied().unwrap_or("env"));
    initdb.args(as_postgres.iter().skip(1)).arg(programs.join("initdb"));
    // A collation of another language, so that nothing depends on the order of text in the database's own.
    run(initdb
        .args(["-U", "kominfo", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
        .arg(&data));
    let script = r#""$@" & server=$!; read -r _; kill -QUIT $server; wait $server; rm -rf "$0""#;
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(&folder)
        .args(as_postgres)
        .arg(programs.join("postgres"))
        .args(["-c", "listen_addresses=", "-c", "max_connections=200", "-k"])
        .arg(&folder)
        .arg("-D")
        .arg(&data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server {
        socket: folder,
        _child: child,
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn newest_programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is needed: apt-get install postgresql")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|programs: &PathBuf| Path::exists(&programs.join("initdb")))
        .collect();
    versions.sort();
    versions
        .pop()
        .expect("PostgreSQL's initdb is needed: apt-get install postgresql")
}
