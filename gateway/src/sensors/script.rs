//! TS013 codecs: the JavaScript that vendors publish for their LoRaWAN devices, `decodeUplink({bytes, fPort, recvTime})`.
//!
//! The engine is in a program of its own, `gateway-codec`, one for each script, started when it is first needed. What a script
//! does there costs the daemon nothing: a script that loops is cut off after [`CPU_MAX`], one that allocates at
//! [`MEMORY_BYTES_MAX`], and a program that does not answer is ended and started again. The script sees the bytes of one
//! message, keeps nothing between two, and has no way to files, to the network or to the clock's zone.
//!
//! Source: `LoRa` Alliance TS013-1.0.0, Payload Codec API.

mod worker;

use std::path::PathBuf;
use std::time::Duration;

use parking::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use self::worker::Worker;

/// Longest script, bytes.
pub const SCRIPT_BYTES_MAX: u64 = 512 * 1024;
/// Most time of a processor that a script gets for one message.
pub const CPU_MAX: Duration = Duration::from_millis(500);
/// Most memory that a script gets, bytes.
pub const MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Depth of its calls, bytes of stack.
pub const STACK_BYTES_MAX: usize = 256 * 1024;
/// Longest answer, bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest wait for an answer. A machine with much to do is slow; the script's own limit counts its own time only.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// What the program is told first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Introduction {
    /// The script.
    pub script: String,
}

/// What the program is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Whether the script is one.
    IsUsable,
    /// What a message says.
    Decode(Uplink),
}

/// A message to be decoded.
#[derive(Debug, Serialize, Deserialize)]
pub struct Uplink {
    /// Application port.
    pub port: u8,
    /// Payload.
    pub bytes: Vec<u8>,
    /// When it came, RFC 3339.
    pub received: String,
}

/// What the script said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The `data` of its answer.
    Data(Value),
    /// Why there is none.
    Failed(String),
}

/// The script of a profile.
#[derive(Debug)]
pub struct Script {
    /// Its file, for messages.
    file: String,
    text: String,
    worker: Mutex<Option<Worker>>,
}

/// The program that runs scripts. It lies beside this one.
pub fn program() -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("gateway-codec"))
}

impl Script {
    /// A script and its file's name.
    pub fn new(file: String, text: String) -> Self {
        Self {
            file,
            text,
            worker: Mutex::new(None),
        }
    }

    /// Its file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Has the script decode a payload.
    ///
    /// # Errors
    /// What the script, or its program, could not do.
    pub async fn decode(&self, port: u8, payload: &[u8], received: Timestamp) -> Result<Value, String> {
        let uplink = Uplink {
            port,
            bytes: payload.to_vec(),
            received: received.to_string(),
        };
        self.ask(Question::Decode(uplink)).await
    }

    /// Whether the script is one, and its program there.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn check(&self) -> Result<(), String> {
        self.ask(Question::IsUsable).await.map(|_| ())
    }

    async fn ask(&self, question: Question) -> Result<Value, String> {
        let mut worker = self.worker.lock().await;
        let mut reason = String::new();
        for _ in 0..2 {
            // Taken out: whoever stops waiting leaves no program that still owes an answer.
            let running = worker.take();
            let ask = async {
                let mut asked = match running {
                    Some(running) => running,
                    None => Worker::start(&self.text).await?,
                };
                let answer = asked.ask(&question).await;
                Ok::<_, String>((asked, answer))
            };
            match tokio::time::timeout(ANSWER_TIME_MAX, ask).await {
                Ok(Ok((asked, Ok(answer)))) => {
                    *worker = Some(asked);
                    return match answer {
                        Answer::Data(data) => Ok(data),
                        Answer::Failed(reason) => Err(self.named(&reason)),
                    };
                }
                // A program that was ended by somebody else is no fault of the message: it is asked once more.
                Ok(Ok((_, Err(error)))) => reason = error.to_string(),
                Ok(Err(error)) => return Err(self.named(&error)),
                Err(_) => {
                    let seconds = ANSWER_TIME_MAX.as_secs();
                    return Err(self.named(&format!("the program gateway-codec has not answered for {seconds} s")));
                }
            }
        }
        Err(self.named(&format!("the program gateway-codec {reason}, twice")))
    }

    fn named(&self, reason: &str) -> String {
        format!("{}: {reason}", self.file)
    }
}
