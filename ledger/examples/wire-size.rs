//! Measures batches on the wire: `cargo run -p ledger --example wire-size`.
//!
//! The streets have other names, tariffs, sensors and seeds than those that the dictionary was trained on.

use std::time::Instant;

use ledger::batch::{self, Batch};
use samples::{Outcome, Street, Words};

mod samples;

const WORDS: Words = Words {
    streets: &["malioboro", "asia-afrika", "braga", "pemuda"],
    sides: &[["kiri", "kanan"], ["1", "2"]],
    prefixes: &["SRP", "m", "ruang."],
    tariffs: &["palembang-16-2011", "t1", "medan-kelas-ii"],
    makers: &["8c1f64a2d0", "f4e11ef3c5"],
    fees: &[1_500, 2_000, 4_000],
};

const STREETS: u32 = 40;
const BAYS_A_SIDE: u32 = 20;
const RECORDS_A_STREET: u32 = 200;

/// Means over all records of a measurement.
struct Figures {
    json_bytes: f64,
    wire_bytes: f64,
    encode_us: f64,
}

fn main() -> Outcome<()> {
    println!("Payload bytes a record without the 64-byte signature; {STREETS} streets of 2 x {BAYS_A_SIDE} bays");
    println!("(session: session records only; all: with occupancy, outages and restarts)");
    println!("records  level  session      all     JSON  us a record");
    for level in [3, 9, 19] {
        for records in [1, 5, 20, 100] {
            let session = measure(records, level, |line| line.starts_with(br#"{"kind":"session""#))?;
            let all = measure(records, level, |_| true)?;
            let Figures {
                json_bytes,
                wire_bytes,
                encode_us,
            } = session;
            println!(
                "{records:7} {level:6} {wire_bytes:8.1} {:8.1} {json_bytes:8.1} {encode_us:12.1}",
                all.wire_bytes
            );
        }
    }
    Ok(())
}

fn measure(records: u32, level: i32, wanted: fn(&[u8]) -> bool) -> Outcome<Figures> {
    let (mut json, mut wire, mut seconds) = (0, 0, 0.0);
    let batches = RECORDS_A_STREET / records;
    for street in 0..STREETS {
        let mut street = Street::new(977_000 + u64::from(street), &WORDS, BAYS_A_SIDE)?;
        for place in 0..batches {
            let mut batch = Batch {
                first_index: u64::from(50_000 + place * records),
                records: Vec::new(),
                signature: [0x5a; 64],
            };
            while batch.records.len() < records as usize {
                let line = street.next_line()?;
                if wanted(&line) {
                    json += line.len();
                    batch.records.push(line);
                }
            }
            let begin = Instant::now();
            wire += batch::encode(&batch, level)?.len() - batch.signature.len();
            seconds += begin.elapsed().as_secs_f64();
        }
    }
    let total = f64::from(STREETS * batches * records);
    Ok(Figures {
        json_bytes: f64::from(u32::try_from(json)?) / total,
        wire_bytes: f64::from(u32::try_from(wire)?) / total,
        encode_us: seconds * 1e6 / total,
    })
}
