//! `device list-attached`: every board with its address, and which device answers there.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::hold::{Placed, Target, connect, placed, session};
use crate::bench::OpenBench;
use crate::station::Station;
use crate::trouble::Failure;

/// How long a device may take to say who it is before it counts as not responsive.
const PATIENCE: Duration = Duration::from_secs(3);

/// All boards, asked side by side. One that another process has leased is not asked, nor one of which a bridge tells who
/// answered there since it was attached.
pub(super) async fn list(station: &Station, bench: &OpenBench) -> Result<Value, Failure> {
    let all = placed(station, bench, &Target::Only).await?;
    let asked = all.iter().map(|placed| async move {
        let id = match (&placed.board.device, &placed.board.leased_by) {
            (Some(told), _) => Some(told.to_string().to_uppercase()),
            (None, Some(_)) => None,
            (None, None) => who(bench, placed).await,
        };
        json!({
            "deviceIdentifier": id,
            "isResponsive": id.is_some(),
            "ipAddress": placed.address,
            "connectionPath": placed.board.slot,
        })
    });
    Ok(Value::Array(join_all(asked).await))
}

async fn who(bench: &OpenBench, placed: &Placed) -> Option<String> {
    let session = session(bench, PATIENCE, None);
    let (verified, _lease) = connect(bench, &placed.board.slot, session, PATIENCE).await.ok()?;
    let id = verified.id().to_string().to_uppercase();
    verified.release().await;
    Some(id)
}
