//! What stands in front of a camera, and how it becomes pictures.
//!
//! A [`Scene`] holds what commands can change: the vehicles in the parking spaces. It has a revision, so that a painter
//! draws the still part only once. Positions are normalised: (0, 0) is the upper left corner of the picture and (1, 1)
//! the lower right one, whatever the resolution; so main stream and substream show the same.
//!
//! - [`layout`]: where the parking spaces are
//! - [`canvas`]: filled polygons in a picture of 4:2:0 samples
//! - [`font`]: letters of 5 by 7 dots
//! - [`painter`]: street, vehicles, text, noise and lens
//! - [`backdrop`]: the part of the street that never changes
//! - [`timecode`]: the strip that a machine reads back

pub mod backdrop;
pub mod canvas;
pub mod font;
pub mod layout;
pub mod painter;
pub mod timecode;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The kinds of vehicle that can stand in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VehicleClass {
    /// A passenger car.
    #[default]
    Car,
    /// A motorcycle.
    Motorcycle,
    /// A truck.
    Truck,
    /// A bus.
    Bus,
}

/// A vehicle in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vehicle {
    /// What it is.
    pub class: VehicleClass,
    /// Which of the colours it has; each arrival has another one.
    pub paint: u32,
}

/// What commands can change in front of a camera.
#[derive(Debug, Clone)]
pub struct Scene {
    spaces: Vec<String>,
    vehicles: BTreeMap<String, Vehicle>,
    revision: u64,
    arrivals: u32,
}

impl Scene {
    /// A street whose spaces are all free.
    pub fn new(spaces: &[String]) -> Self {
        Self {
            spaces: spaces.to_vec(),
            vehicles: BTreeMap::new(),
            revision: 1,
            arrivals: 0,
        }
    }

    /// Grows with each change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The vehicle that stands in a space.
    pub fn vehicle(&self, space: &str) -> Option<Vehicle> {
        self.vehicles.get(space).copied()
    }

    /// Lets a vehicle appear in a space (instead of the one that stands there); false if there is no such space.
    pub fn occupy(&mut self, space: &str, class: VehicleClass) -> bool {
        if !self.spaces.iter().any(|name| name == space) {
            return false;
        }
        self.arrivals = self.arrivals.wrapping_add(1);
        self.revision = self.revision.wrapping_add(1);
        self.vehicles.insert(
            space.to_owned(),
            Vehicle {
                class,
                paint: self.arrivals,
            },
        );
        true
    }

    /// Lets the vehicle in a space disappear, if there is one; false if there is no such space.
    pub fn vacate(&mut self, space: &str) -> bool {
        if !self.spaces.iter().any(|name| name == space) {
            return false;
        }
        if self.vehicles.remove(space).is_some() {
            self.revision = self.revision.wrapping_add(1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vehicle_comes_and_goes_and_each_change_has_a_new_revision() {
        let mut scene = Scene::new(&["U-01".to_owned()]);
        let first = scene.revision();
        assert!(scene.occupy("U-01", VehicleClass::Truck));
        let second = scene.revision();
        assert_eq!(scene.vehicle("U-01").unwrap().class, VehicleClass::Truck);
        assert!(scene.vacate("U-01"));
        assert!(first < second && second < scene.revision());
        assert_eq!(scene.vehicle("U-01"), None);
    }

    #[test]
    fn an_unknown_space_is_refused_and_changes_nothing() {
        let mut scene = Scene::new(&["U-01".to_owned()]);
        let revision = scene.revision();
        assert!(!scene.occupy("U-02", VehicleClass::Car));
        assert!(!scene.vacate("U-02"));
        assert_eq!(scene.revision(), revision);
    }
}
