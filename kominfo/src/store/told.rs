//! What a box tells without signing it: state and telemetry. Each is taken in whole or not at all.

use parking::GatewayId;
use sqlx::{Any, Transaction};

use super::{During as _, StoreError};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is stored.
    Written,
    /// The box is not registered.
    UnknownBox,
    /// It would make more than is kept of a box.
    TooMany,
}

/// Takes the write lock, and one box's messages in turn. `false` when the box is not registered.
pub(super) async fn take_box(
    transaction: &mut Transaction<'_, Any>,
    gateway: &GatewayId,
    action: &'static str,
) -> Result<bool, StoreError> {
    let known = sqlx::query("UPDATE boxes SET box = box WHERE box = $1")
        .bind(gateway.as_str())
        .execute(&mut **transaction)
        .await
        .during(action)?;
    Ok(known.rows_affected() > 0)
}
