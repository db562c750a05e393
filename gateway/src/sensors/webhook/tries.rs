//! Who shows a wrong token again and again is sent away for a while, without another look at what it sends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens in a row that an address may show.
const WRONG_MAX: u32 = 10;
/// One of them is forgotten in so long.
const FORGOTTEN_IN: Duration = Duration::from_secs(6);
/// Addresses that are remembered. With more, the one that was wrong longest ago is forgotten.
const ADDRESSES_MAX: usize = 256;

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub(super) struct Tries(HashMap<IpAddr, Wrong>);

#[derive(Debug)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Wrong {
    /// How many of them count at `now`.
    fn left(&self, now: Instant) -> u32 {
        let forgotten = now.saturating_duration_since(self.last).as_secs() / FORGOTTEN_IN.as_secs();
        self.count.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }
}

impl Tries {
    /// How long an address has to wait, seconds; none if it may try.
    pub fn wait_s(&self, from: IpAddr, now: Instant) -> Option<u64> {
        let wrong = self.0.get(&from)?;
        let since = now.saturating_duration_since(wrong.last).as_secs() % FORGOTTEN_IN.as_secs();
        (wrong.left(now) >= WRONG_MAX).then(|| FORGOTTEN_IN.as_secs() - since)
    }

    /// An address has shown a wrong token.
    pub fn wrong(&mut self, from: IpAddr, now: Instant) {
        if self.0.len() == ADDRESSES_MAX && !self.0.contains_key(&from) {
            self.0.retain(|_, wrong| wrong.left(now) > 0);
            let oldest = self
                .0
                .iter()
                .min_by_key(|(_, wrong)| wrong.last)
                .map(|(address, _)| *address);
            if let (Some(oldest), ADDRESSES_MAX) = (oldest, self.0.len()) {
                self.0.remove(&oldest);
            }
        }
        let wrong = self.0.entry(from).or_insert(Wrong { count: 0, last: now });
        wrong.count = wrong.left(now).saturating_add(1).min(WRONG_MAX);
        wrong.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 168, 1, last])
    }

    #[test]
    fn after_some_wrong_tokens_an_address_waits_and_no_other_does() {
        let (mut tries, begin) = (Tries::default(), Instant::now());
        for _ in 0..WRONG_MAX {
            assert_eq!(tries.wait_s(address(1), begin), None);
            tries.wrong(address(1), begin);
        }
        assert_eq!(tries.wait_s(address(1), begin), Some(6));
        assert_eq!(tries.wait_s(address(1), begin + Duration::from_secs(4)), Some(2));
        assert_eq!(tries.wait_s(address(2), begin), None);
        let later = begin + FORGOTTEN_IN;
        assert_eq!(tries.wait_s(address(1), later), None);
        tries.wrong(address(1), later);
        assert!(tries.wait_s(address(1), later).is_some(), "one try in six seconds");
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let (mut tries, begin) = (Tries::default(), Instant::now());
        for number in 0..10_000_u32 {
            let at = begin + Duration::from_millis(number.into());
            tries.wrong(IpAddr::from(number.to_be_bytes()), at);
            assert!(tries.0.len() <= ADDRESSES_MAX);
        }
    }
}
