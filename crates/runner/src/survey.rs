//! Looking at boards without a plan: who is there, and is it ready. Reads only.

use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use lineside_device::{DeviceError, Scope, Session, SessionConfig, boot};
use lineside_flow::interlock::Facts;
use lineside_link::{Bench, BoardInfo, Clock, Port};
use lineside_terms::{Epoch, Told};

/// What was found at one socket.
#[derive(Debug)]
pub struct Found {
    /// The board as the bench lists it.
    pub board: BoardInfo,
    /// What its device said, or why it said nothing.
    pub facts: Result<Facts, Told>,
}

/// How a survey looks.
#[derive(Debug, Clone)]
pub struct Survey {
    /// How devices are reached and whom to trust.
    pub session: SessionConfig,
    /// What is asked.
    pub scope: Scope,
    /// How long each device is waited for.
    pub patience: Duration,
    /// The short text that others see while a board is leased.
    pub holder: String,
}

/// Looks at all these boards side by side. Nothing is changed on any of them.
pub async fn look(
    bench: &Rc<dyn Bench>,
    clock: &Clock,
    boards: Vec<BoardInfo>,
    survey: &Survey,
) -> Vec<Found> {
    join_all(boards.into_iter().map(|board| async move {
        let facts = look_at(bench, clock, &board, survey)
            .await
            .map_err(|error| Told::of(&error));
        Found { board, facts }
    }))
    .await
}

async fn look_at(
    bench: &Rc<dyn Bench>,
    clock: &Clock,
    board: &BoardInfo,
    survey: &Survey,
) -> Result<Facts, DeviceError> {
    let mut leased = bench.lease(&board.slot, &survey.holder).await?;
    let wire = leased.open(Port::Service)?;
    let session = Session::new(wire, clock.clone(), survey.session.clone())?;
    // Epochs matter only where something is sent because of what was read.
    let mut device = boot::wait_responsive(session, Epoch(0), None, survey.patience)
        .await
        .map_err(|(_, error)| error)?;
    let facts = device.read_facts(survey.scope).await;
    device.release().await;
    facts
}
