//! The program that runs one script, as its parent sees it: JSON, a line each way.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{ANSWER_BYTES_MAX, Answer, Introduction, Question, program};

/// A running program.
#[derive(Debug)]
pub(super) struct Worker {
    // Ended when this is dropped.
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it and gives it its script.
    pub async fn start(script: &str) -> Result<Self, String> {
        let path = program().map_err(|error| format!("cannot tell where gateway-codec lies: {error}"))?;
        let child = Command::new(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env_clear()
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| {
            let path = path.display();
            format!("cannot start {path}: {error}; install gateway-codec of the same build into the folder of gateway")
        })?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or("gateway-codec has no pipes")?;
        let mut worker = Self {
            _child: child,
            input,
            output: BufReader::new(output),
        };
        let introduction = Introduction {
            script: script.to_owned(),
        };
        worker.tell(&introduction).await.map_err(|error| error.to_string())?;
        Ok(worker)
    }

    /// Has a message decoded.
    pub async fn ask(&mut self, question: &Question) -> std::io::Result<Answer> {
        self.tell(question).await?;
        let mut line = Vec::new();
        let bound = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
        let mut bounded = (&mut self.output).take(bound);
        bounded.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(std::io::Error::other("ended, or said too much"));
        }
        Ok(serde_json::from_slice(&line)?)
    }

    async fn tell<T: serde::Serialize>(&mut self, what: &T) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.input.flush().await
    }
}
