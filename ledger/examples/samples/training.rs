//! How the shipped dictionary is made.

use crate::samples::{Outcome, Random, Street, Words};

/// Largest size of the dictionary, bytes. Twice as much gains half a byte a record, half as much loses it.
const DICTIONARY_BYTES_MAX: usize = 8 << 10;

const SEED: u64 = 20_260_001;
const STREETS: u64 = 48;
const BATCHES_A_STREET: usize = 36;

const WORDS: Words = Words {
    streets: &[
        "sudirman",
        "thamrin",
        "jalan-merdeka",
        "diponegoro",
        "pasar-baru",
        "ahmad-yani",
        "gajah-mada",
        "veteran",
    ],
    sides: &[["utara", "selatan"], ["timur", "barat"], ["a", "b"]],
    prefixes: &["P-", "A", "petak-", "S-", "U"],
    tariffs: &[
        "perda-2023-flat",
        "perda-4-2023",
        "kelas-1",
        "tarif-2024",
        "progresif-1",
    ],
    makers: &["70b3d5e75e", "0004a30b00", "24e124126a", "a840411b11"],
    fees: &[1_000, 2_000, 3_000, 5_000],
};

/// The dictionary: trained on batches of several sizes, since a batch is what is compressed with it.
pub fn train() -> Outcome<Vec<u8>> {
    let mut random = Random(SEED);
    let mut batches = Vec::new();
    for street in 1..=STREETS {
        let mut street = Street::new(SEED + street, &WORDS, 6 + random.below(25))?;
        for &records in [1, 2, 3, 5, 8, 20].iter().cycle().take(BATCHES_A_STREET) {
            let mut batch = Vec::new();
            for _ in 0..records {
                batch.extend(street.next_line()?);
                batch.push(b'\n');
            }
            batches.push(batch);
        }
    }
    Ok(zstd::dict::from_samples(&batches, DICTIONARY_BYTES_MAX)?)
}
