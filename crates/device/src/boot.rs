//! Resetting a device, and waiting until it answers again.
//!
//! There is no carrier signal: a device that restarts is silent, then refuses, then answers
//! (`chip-to-pc-and-recovery.md` 2.3, 3). One that is asked too early may still answer from before the restart; its
//! uptime tells.

use std::time::Duration;

use lineside_link::Board;
use lineside_terms::{Epoch, Instant};

use crate::error::DeviceError;
use crate::session::Session;
use crate::timeouts::{KNOCK, KNOCKING, LATE_PAUSE};
use crate::verified::Verified;

/// Uptime is told in whole seconds, and a device may count from a little before we think that it restarted.
const UPTIME_SLACK_S: u64 = 2;

/// Resets a device by its reset line. What was under way on the chip is gone, and so is every connection of the
/// session. Returns when it was reset, to be handed to [`wait_responsive`].
///
/// # Errors
/// When a line of the board cannot be driven.
pub async fn reset(board: &mut dyn Board, session: &mut Session) -> Result<Instant, DeviceError> {
    lineside_link::reset(board, session.clock()).await?;
    session.forget();
    Ok(session.clock().now())
}

/// Tries until the device answers with its id, or `ceiling` has passed. With `restarted_at` an answer counts only if
/// the device's uptime shows that it restarted then or later.
///
/// # Errors
/// [`DeviceError::NotBack`] with the last failure after `ceiling`; at once what will not pass by waiting, such as a wrong
/// certificate or a board that is gone. The session comes back with the error.
pub async fn wait_responsive(
    mut session: Session,
    epoch: Epoch,
    restarted_at: Option<Instant>,
    ceiling: Duration,
) -> Result<Verified, (Session, DeviceError)> {
    let began = session.clock().now();
    let until = began + ceiling;
    loop {
        let now = session.clock().now();
        let is_early = now < began + KNOCKING;
        // After each look the next one, but never more often than so.
        let next = now + if is_early { KNOCK } else { LATE_PAUSE };
        let look = if is_early {
            session.knock(epoch, KNOCK).await
        } else {
            session.verify(epoch).await
        };
        let last = match look {
            Ok(verified) => match has_restarted(verified, restarted_at).await {
                Ok(verified) => return Ok(verified),
                Err((back, last)) => {
                    session = back;
                    last
                }
            },
            Err((back, error)) => {
                session = back;
                Some(error)
            }
        };
        if let Some(error) = last.as_ref().filter(|error| !error.may_pass()) {
            return Err((session, error.clone()));
        }
        let pause = next.saturating_since(session.clock().now());
        if session.clock().now() + pause >= until {
            return Err((
                session,
                DeviceError::NotBack {
                    after: ceiling,
                    last: last.map(Box::new),
                },
            ));
        }
        tracing::debug!(?last, "not back yet");
        if let Err(error) = session.idle(pause).await {
            return Err((session, error));
        }
    }
}

/// The connection, if the device has restarted since; otherwise the session and what went wrong, if anything did.
async fn has_restarted(
    mut verified: Verified,
    restarted_at: Option<Instant>,
) -> Result<Verified, (Session, Option<DeviceError>)> {
    let Some(restarted_at) = restarted_at else {
        return Ok(verified);
    };
    let most = verified.clock().now().saturating_since(restarted_at).as_secs() + UPTIME_SLACK_S;
    match verified.status().await {
        Ok(status) if status.uptime <= most => Ok(verified),
        Ok(_) => Err((verified.release().await, None)),
        Err(error) => Err((verified.release().await, Some(error))),
    }
}
