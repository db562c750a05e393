//! The running city: receives from the broker, answers on the web, and stops in order.

mod receive;
pub use receive::receive;
