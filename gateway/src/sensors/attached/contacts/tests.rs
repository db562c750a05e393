//! Timetables of contacts, on a simulated board.

use std::fs;
use std::path::Path;

use parking::{BootId, ClockQuality, ReportKind, Timestamp};
use tempfile::TempDir;

use super::*;

fn at(mono_ms: u64) -> Stamp {
    Stamp {
        at: Timestamp::from_millis(1_767_600_000_000 + i64::try_from(mono_ms).unwrap()),
        boot: BootId(7),
        mono_ms,
        clock: ClockQuality::Synced,
    }
}

fn line(line: u32, active: Active) -> Line {
    let chip = "/dev/gpiochip0".into();
    Line { chip, line, active }
}

struct Pole {
    folder: TempDir,
    board: Board,
    now_ms: u64,
}

impl Pole {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("gpio")).unwrap();
        let board = Board::Simulated(folder.path().to_owned());
        Self {
            folder,
            board,
            now_ms: 0,
        }
    }

    fn set(&self, line: u32, level: &str) {
        fs::write(self.folder.path().join(Path::new("gpio")).join(line.to_string()), level).unwrap();
    }

    /// Looks for a time; what was said, with tenths of a second.
    fn look(&mut self, watched: &mut WatchedLoop, seconds: u64) -> Vec<(ReportKind, bool)> {
        let mut said = Vec::new();
        for _ in 0..seconds * 50 {
            self.now_ms += 20;
            let reading = watched.look(&self.board, at(self.now_ms)).ok().flatten();
            said.extend(reading.map(|reading| (reading.report.kind, reading.report.occupied.unwrap())));
        }
        said
    }
}

fn detector(fault: bool) -> WatchedLoop {
    WatchedLoop::new(LoopDetector {
        sensor: SensorId::new("loop-1").unwrap(),
        presence: line(17, Active::High),
        fault: fault.then(|| line(27, Active::High)),
    })
}

#[test]
fn an_open_or_cut_presence_contact_is_a_vehicle() {
    use ReportKind::{Heartbeat, Status};
    let mut pole = Pole::new();
    let mut watched = detector(false);
    pole.set(17, "0");
    assert_eq!(pole.look(&mut watched, 65), [(Heartbeat, false), (Heartbeat, false)]);
    pole.set(17, "1");
    assert_eq!(pole.look(&mut watched, 2), [(Status, true)]);
    pole.set(17, "0");
    assert_eq!(pole.look(&mut watched, 2), [(Status, false)]);
    fs::remove_file(pole.folder.path().join("gpio/17")).unwrap();
    assert_eq!(pole.look(&mut watched, 2), [(Status, true)], "pulled up");
}

#[test]
fn a_broken_loop_says_nothing_and_what_it_shows_afterwards_is_no_change_that_was_seen() {
    use ReportKind::Heartbeat;
    let mut pole = Pole::new();
    let mut watched = detector(true);
    pole.set(17, "0");
    pole.set(27, "0");
    assert_eq!(pole.look(&mut watched, 2), [(Heartbeat, false)]);
    pole.set(17, "1");
    pole.set(27, "1");
    assert_eq!(pole.look(&mut watched, 200), []);
    assert!(watched.is_broken);
    pole.set(27, "0");
    assert_eq!(pole.look(&mut watched, 2), [(Heartbeat, true)]);
    assert!(!watched.is_broken);
}

#[test]
fn a_pin_that_cannot_be_read_is_told_and_tried_again() {
    let mut pole = Pole::new();
    let mut watched = detector(false);
    // A folder where the file should be.
    fs::create_dir(pole.folder.path().join("gpio/17")).unwrap();
    let Err(Trouble::New(reason)) = watched.look(&pole.board, at(20)) else {
        panic!("it is no file");
    };
    assert!(reason.contains("cannot read pin 17 of /dev/gpiochip0"), "{reason}");
    assert!(matches!(watched.look(&pole.board, at(40)), Err(Trouble::Told)));
    fs::remove_dir(pole.folder.path().join("gpio/17")).unwrap();
    std::thread::sleep(WAIT_MIN);
    assert_eq!(pole.look(&mut watched, 1), [(ReportKind::Heartbeat, true)]);
}

#[test]
fn the_ledger_hears_of_a_door_when_it_opens_and_when_it_closes() {
    let mut pole = Pole::new();
    let mut watched = WatchedOwn::new(OwnContact {
        contact: BoxContact::Tamper,
        line: line(23, Active::High),
    });
    let mut look = |pole: &mut Pole, seconds: u64| -> Vec<Input> {
        let mut facts = Vec::new();
        for _ in 0..seconds * 50 {
            pole.now_ms += 20;
            facts.extend(watched.look(&pole.board, at(pole.now_ms)).ok().flatten());
        }
        facts
    };
    pole.set(23, "0");
    let closed = look(&mut pole, 5);
    pole.set(23, "1");
    let contact = BoxContact::Tamper;
    let told = |active, ms| {
        let since = at(ms).at.floor_to_second();
        [Input::Note(RecordBody::BoxContact { contact, active, since })]
    };
    assert_eq!(closed, told(false, 20), "said at each start");
    assert_eq!(look(&mut pole, 5), told(true, 5_020));
    pole.set(23, "0");
    assert_eq!(look(&mut pole, 5), told(false, 10_020));
}
