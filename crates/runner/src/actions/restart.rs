//! `restart`: the device restarts and comes back as the same one.
//!
//! Repeatable. That it came back, and as whom, is what the next epoch begins with.

use lineside_flow::Report;

use super::{At, Trouble};

pub(super) async fn perform(at: &mut At<'_>) -> Result<Report, Trouble> {
    at.device()?.restart().await?;
    at.hands.has_restarted();
    Ok(Report {
        is_link_over: true,
        ..Report::passed()
    })
}
