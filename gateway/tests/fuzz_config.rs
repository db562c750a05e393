//! Foreign bytes: no file makes the reading of a configuration fall over, and what is refused is refused in order.

use std::path::Path;

use gateway::config::{Config, PROBLEMS_MAX};

const SOUND: &str = include_str!("../src/config/tests/sound.toml");

fn read(bytes: &[u8]) {
    let Err(errors) = Config::from_bytes(Path::new("box.toml"), bytes) else {
        return;
    };
    assert!((1..=PROBLEMS_MAX).contains(&errors.problems.len()));
    assert!(errors.problems.is_sorted_by_key(|problem| problem.position));
    for problem in &errors.problems {
        assert!(!problem.hint.is_empty(), "{problem}");
        assert_eq!(problem.to_string().lines().count(), 2, "{problem}");
    }
}

#[test]
fn no_bytes_make_the_reading_panic() {
    bolero::check!().for_each(read);
}

#[test]
fn no_edit_of_a_sound_configuration_makes_the_reading_panic() {
    // Each edit: where it begins, how much it takes out, what it puts in.
    bolero::check!()
        .with_type::<Vec<(u16, u8, Vec<u8>)>>()
        .for_each(|edits| {
            let mut bytes = SOUND.as_bytes().to_vec();
            for (start, length, put_in) in edits {
                let start = usize::from(*start) % (bytes.len() + 1);
                let end = (start + usize::from(*length)).min(bytes.len());
                bytes.splice(start..end, put_in.iter().copied());
            }
            read(&bytes);
        });
}

#[test]
fn no_exchange_of_lines_makes_the_reading_panic() {
    bolero::check!().with_type::<Vec<(u8, u8)>>().for_each(|exchanges| {
        let mut lines: Vec<&str> = SOUND.lines().collect();
        for (one, other) in exchanges {
            let (one, other) = (usize::from(*one) % lines.len(), usize::from(*other) % lines.len());
            lines.swap(one, other);
        }
        read(lines.join("\n").as_bytes());
    });
}
