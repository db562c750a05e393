//! Contacts of the roadside: an inductive loop's relay with its fault line, a door's tamper switch, a supply's
//! power-fail output.
//!
//! Set the detector to *permanent presence* (with limited presence a parked vehicle is forgotten after some minutes), and its
//! presence output to *fail-secure* (it shows a vehicle when the detector has no power); wire the fault relay too, or a
//! broken loop is a vehicle that never leaves.

use embedded_hal::digital::InputPin;
use serde::{Deserialize, Serialize};

/// How a contact is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Active {
    /// The pin is low when what it tells is the case: a contact to ground, with a pull-up.
    Low,
    /// The pin is high then.
    High,
}

/// A contact on a pin.
#[derive(Debug)]
pub struct Contact<P> {
    pin: P,
    active: Active,
}

impl<P: InputPin> Contact<P> {
    /// A contact on `pin`.
    pub fn new(pin: P, active: Active) -> Self {
        Self { pin, active }
    }

    /// Whether what it tells is the case.
    pub fn is_active(&mut self) -> Result<bool, P::Error> {
        match self.active {
            Active::Low => self.pin.is_low(),
            Active::High => self.pin.is_high(),
        }
    }

    /// Gives the pin back.
    pub fn into_pin(self) -> P {
        self.pin
    }
}

/// What a loop detector tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loop {
    /// A vehicle is over the loop.
    Occupied,
    /// None is.
    Free,
    /// The loop or the detector is broken: what the presence output shows means nothing.
    Broken,
}

impl Loop {
    /// From both contacts; without a fault line, from presence alone.
    pub fn of(presence: bool, fault: Option<bool>) -> Self {
        match (presence, fault) {
            (_, Some(true)) => Self::Broken,
            (true, _) => Self::Occupied,
            (false, _) => Self::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    #[test]
    fn a_contact_to_ground_is_active_when_the_pin_is_low() {
        let reads = [State::Low, State::High].map(Transaction::get);
        for (active, expected) in [(Active::Low, [true, false]), (Active::High, [false, true])] {
            let mut contact = Contact::new(Mock::new(&reads), active);
            assert_eq!([contact.is_active(), contact.is_active()], expected.map(Ok));
            contact.into_pin().done();
        }
    }

    #[test]
    fn a_broken_loop_is_neither_occupied_nor_free() {
        let of = |presence, fault| Loop::of(presence, fault);
        assert_eq!(of(true, Some(true)), Loop::Broken);
        assert_eq!(of(false, Some(true)), Loop::Broken);
        assert_eq!(of(true, Some(false)), Loop::Occupied);
        assert_eq!(of(true, None), Loop::Occupied);
        assert_eq!(of(false, None), Loop::Free);
    }
}
