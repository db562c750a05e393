//! Unsigned LEB128 numbers: seven bits a byte, lowest first, the top bit set on all but the last.

/// Appends `number`.
pub(crate) fn write(number: u64, bytes: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

/// Takes a number off the front. `None` when it is cut off, wider than 64 bits, or longer than it need be: each number
/// has one encoding.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (place, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if place == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * place);
        if byte & 0x80 == 0 {
            let shortest = place == 0 || byte != 0;
            return shortest.then_some((number, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_back_and_leaves_the_rest() {
        for number in [
            0,
            1,
            127,
            128,
            300,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            bytes.push(0xaa);
            assert_eq!(read(&bytes), Some((number, &[0xaa][..])));
        }
    }

    #[test]
    fn cut_off_overlong_and_too_wide_numbers_are_refused() {
        let too_wide = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        let endless = [0x80; 11];
        for bad in [
            &[][..],
            &[0x80],
            &[0x80, 0x00],
            &[0xff, 0x80, 0x00],
            &too_wide,
            &endless,
        ] {
            assert_eq!(read(bad), None, "{bad:02x?}");
        }
    }
}
