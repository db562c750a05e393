//! The box's own page.
pub mod password;
