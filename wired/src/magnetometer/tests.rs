//! The chips' registers, played by a mock: what is sent, in which order, and what comes of what is read.

use embedded_hal::i2c::ErrorKind;
use embedded_hal_mock::eh1::delay::NoopDelay;
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

use super::*;

fn write(address: u8, register: u8, value: u8) -> Transaction {
    Transaction::write(address, vec![register, value])
}

fn read(address: u8, register: u8, bytes: &[u8]) -> Transaction {
    Transaction::write_read(address, vec![register], bytes.to_vec())
}

/// Runs `what` on a chip that expects exactly these transactions.
fn played<T>(
    chip: Chip,
    transactions: &[Transaction],
    what: impl FnOnce(&mut Magnetometer<Mock, NoopDelay>) -> T,
) -> T {
    let address = chip.addresses()[0];
    let mut magnetometer = Magnetometer::new(chip, address, Mock::new(transactions), NoopDelay::new());
    let outcome = what(&mut magnetometer);
    magnetometer.into_bus().done();
    outcome
}

fn start_of(chip: Chip) -> Vec<Transaction> {
    match chip {
        Chip::Mmc5603 => vec![read(0x30, 0x39, &[0x10]), write(0x30, 0x1c, 0x80)],
        Chip::Lis3mdl => vec![
            read(0x1c, 0x0f, &[0x3d]),
            write(0x1c, 0x21, 0x04),
            write(0x1c, 0x20, 0x70),
            write(0x1c, 0x21, 0x00),
            write(0x1c, 0x22, 0x00),
            write(0x1c, 0x23, 0x0c),
            write(0x1c, 0x24, 0x40),
        ],
        Chip::Qmc5883l => vec![
            read(0x0d, 0x0d, &[0xff]),
            write(0x0d, 0x0a, 0x80),
            write(0x0d, 0x0b, 0x01),
            write(0x0d, 0x09, 0x1d),
        ],
    }
}

/// One half of a measurement of an MMC5603.
fn mmc5603_half(turn: u8, data: [u8; 9]) -> [Transaction; 5] {
    [
        write(0x30, 0x1b, turn),
        write(0x30, 0x1b, 0x01),
        read(0x30, 0x18, &[0x00]),
        read(0x30, 0x18, &[0x40]),
        read(0x30, 0x00, &data),
    ]
}

#[test]
fn each_chip_is_identified_reset_and_set_up() {
    for chip in Chip::ALL {
        assert_eq!(played(chip, &start_of(chip), Magnetometer::start), Ok(()), "{chip}");
    }
}

#[test]
fn another_chip_at_the_address_is_told_apart() {
    // A QMC5883L sold as an HMC5883L, and the other way round, is the usual case.
    let identities = [
        (Chip::Mmc5603, 0x39, 0x10),
        (Chip::Lis3mdl, 0x0f, 0x3d),
        (Chip::Qmc5883l, 0x0d, 0xff),
    ];
    for (chip, register, expected) in identities {
        let stranger = [read(chip.addresses()[0], register, &[0x48])];
        let fault = played(chip, &stranger, Magnetometer::start).unwrap_err();
        let found = 0x48;
        assert_eq!(fault, Fault::Stranger { chip, expected, found });
        assert!(fault.to_string().contains("0x48"), "{fault}");
    }
}

#[test]
fn an_mmc5603_takes_its_own_offset_away() {
    // Counts of the field: 6,400, -6,400 and 0, at 6.25 nT each; the offset of the chip is 1,000 counts on each axis.
    // 20 bits: the high eight, the next eight, and the low four in the upper half of a byte.
    let bytes = |counts: [i32; 3]| {
        let raw = counts.map(|count| u32::try_from(count + (1 << 19)).unwrap());
        let high = raw.map(|raw| [(raw >> 12).to_be_bytes()[3], (raw >> 4).to_be_bytes()[3]]);
        let low = raw.map(|raw| (raw << 4).to_be_bytes()[3]);
        [high.concat(), low.to_vec()].concat().try_into().unwrap()
    };
    let upright = mmc5603_half(0x08, bytes([7_400, -5_400, 1_000]));
    let reversed = mmc5603_half(0x10, bytes([-5_400, 7_400, 1_000]));
    let field = played(Chip::Mmc5603, &[upright, reversed].concat(), Magnetometer::measure);
    assert_eq!(field, Ok(Field::new(40_000.0, -40_000.0, 0.0)));
}

#[test]
fn a_lis3mdl_counts_6842_a_gauss_low_byte_first() {
    let transactions = [
        read(0x1c, 0x27, &[0x00]),
        read(0x1c, 0x27, &[0x08]),
        // 6,842, -6,842 and 0.
        read(0x1c, 0xa8, &[0xba, 0x1a, 0x46, 0xe5, 0x00, 0x00]),
    ];
    let field = played(Chip::Lis3mdl, &transactions, Magnetometer::measure).unwrap();
    assert!(
        field.distance(Field::new(100_000.0, -100_000.0, 0.0)) < 0.01,
        "{field:?}"
    );
}

#[test]
fn a_qmc5883l_counts_3000_a_gauss_and_all_six_bytes_are_read() {
    let transactions = [
        read(0x0d, 0x06, &[0x01]),
        read(0x0d, 0x00, &[0xb8, 0x0b, 0x48, 0xf4, 0x01, 0x00]),
    ];
    let field = played(Chip::Qmc5883l, &transactions, Magnetometer::measure).unwrap();
    assert!(
        field.distance(Field::new(100_000.0, -100_000.0, 33.333)) < 0.01,
        "{field:?}"
    );
    let beyond = [read(0x0d, 0x06, &[0x03]), read(0x0d, 0x00, &[0xff, 0x7f, 0, 0, 0, 0])];
    let chip = Chip::Qmc5883l;
    assert_eq!(
        played(chip, &beyond, Magnetometer::measure),
        Err(Fault::Overflow { chip })
    );
}

#[test]
fn a_field_beyond_the_range_is_no_field() {
    let chip = Chip::Mmc5603;
    let full = mmc5603_half(0x08, [0xff, 0xff, 0x80, 0, 0x80, 0, 0xf0, 0, 0]);
    assert_eq!(
        played(chip, &full, Magnetometer::measure),
        Err(Fault::Overflow { chip })
    );
    let chip = Chip::Lis3mdl;
    let full = [read(0x1c, 0x27, &[0x08]), read(0x1c, 0xa8, &[0, 0, 0x94, 0x6d, 0, 0])];
    assert_eq!(
        played(chip, &full, Magnetometer::measure),
        Err(Fault::Overflow { chip })
    );
}

#[test]
fn a_chip_that_never_measures_is_given_up() {
    let chip = Chip::Qmc5883l;
    let asked = vec![read(0x0d, 0x06, &[0x00]); 61];
    assert_eq!(
        played(chip, &asked, Magnetometer::measure),
        Err(Fault::NotReady { chip })
    );
}

#[test]
fn a_bus_that_fails_is_told_and_the_chip_can_be_started_again() {
    for chip in Chip::ALL {
        let mut transactions = start_of(chip);
        let first = transactions.remove(0).with_error(ErrorKind::Bus);
        let fault = played(chip, &[first], Magnetometer::start).unwrap_err();
        assert_eq!(fault, Fault::Bus(ErrorKind::Bus));
        assert!(fault.to_string().contains("cable"), "{fault}");
        assert_eq!(played(chip, &start_of(chip), Magnetometer::start), Ok(()));
    }
}
