//! What the runner does with the boards, and how they answer.

use super::*;

impl World {
    pub(super) fn work(&mut self, n: usize, fault: Option<Fault>) {
        let Some(order) = self.sockets[n].orders.pop_front() else {
            return;
        };
        let reply = self.carry_out(n, order, fault);
        if fault == Some(Fault::Replugged) {
            self.unplug(n);
            self.tell(n, Reply::Seen(EpochCause::Attached));
        }
        if let Some(reply) = reply {
            self.tell(n, reply);
        }
    }

    pub(super) fn alive(&self, n: usize) -> Option<Link> {
        let link = self.sockets[n].link?;
        if self.bug == Some(Bug::SwapUnnoticed) {
            return Some(Link {
                chip: self.sockets[n].chip,
                ..link
            });
        }
        (self.chips[link.chip].connection == link.connection).then_some(link)
    }

    pub(super) fn carry_out(&mut self, n: usize, order: Order, fault: Option<Fault>) -> Option<Reply> {
        let here = self.sockets[n].chip;
        Some(match order {
            Order::Identify(epoch) | Order::Reset(epoch) if fault == Some(Fault::Silent) => {
                self.sockets[n].link = None;
                Reply::Unresponsive(epoch)
            }
            Order::Identify(epoch) => {
                self.tags += 1;
                let chip = &self.chips[here];
                let (connection, tag) = (chip.connection, self.tags);
                self.sockets[n].link = Some(Link {
                    chip: here,
                    connection,
                    epoch,
                    tag,
                    writes: 0,
                });
                Reply::Identified(epoch, device(chip.number), chip.state)
            }
            Order::Reset(_) => {
                self.sockets[n].link = None;
                if self.bug != Some(Bug::ResetLeftOut) {
                    self.chips[here].restart();
                }
                Reply::Seen(EpochCause::Reset)
            }
            Order::Perform {
                epoch,
                run,
                device: meant,
                step,
                ..
            } => {
                let is_cut = fault == Some(Fault::LinkLost);
                let Some(mut link) = self.alive(n).filter(|_| !is_cut) else {
                    self.chips[here].connection += 1;
                    return Some(Reply::Performed(epoch, run, Outcome::Error, true));
                };
                let is_its = device(self.chips[link.chip].number) == meant;
                self.require(is_its, "a write reaches another device");
                if self.bug == Some(Bug::StepLeftOut) {
                    return Some(Reply::Performed(epoch, run, Outcome::Pass, false));
                }
                link.writes += 1;
                self.sockets[n].link = Some(link);
                if fault == Some(Fault::Fails) {
                    self.failed.insert(run);
                    return Some(Reply::Performed(epoch, run, Outcome::Fail, false));
                }
                self.done.insert((run, step));
                Reply::Performed(epoch, run, Outcome::Pass, false)
            }
            Order::ReadFacts(epoch, run) => {
                let Some(link) = self.alive(n).filter(|_| fault != Some(Fault::LinkLost)) else {
                    self.chips[here].connection += 1;
                    return Some(Reply::Performed(epoch, run, Outcome::Error, true));
                };
                let chip = &mut self.chips[link.chip];
                chip.is_dirty |= fault == Some(Fault::LeftOver);
                let mut facts = facts(device(chip.number), epoch, chip.state, Instant::from_nanos(NOW));
                facts.session = SessionTag::from_bytes(u128::from(link.tag).to_le_bytes());
                facts.writes = link.writes;
                if chip.is_dirty {
                    facts.wifi = Reading::Read(vec!["left over".to_owned()]);
                }
                Reply::Read(run, Box::new(facts))
            }
            Order::Act(act) => Reply::Acted(act.run, act.key, self.act(n, &act, fault)),
            Order::NotActed(run, key) => Reply::Acted(run, key, None),
            Order::Release => {
                self.sockets[n].link = None;
                return None;
            }
        })
    }

    /// Checks a permit as the one place does that can send an act, and lets the device be the judge.
    pub(super) fn act(&mut self, n: usize, act: &Act, fault: Option<Fault>) -> Option<Look> {
        let link = self.alive(n)?;
        let chip = &self.chips[link.chip];
        let is_good = device(chip.number) == act.device
            && chip.state == act.from
            && link.epoch == act.epoch
            && SessionTag::from_bytes(u128::from(link.tag).to_le_bytes()) == act.session
            && link.writes == act.writes;
        if !is_good && self.bug != Some(Bug::PermitUnchecked) {
            return None;
        }
        let (is_its, is_free) = (device(chip.number) == act.device, !chip.pending);
        let (is_first, is_ready) = (chip.applied == 0, !chip.is_dirty);
        let is_proven = self.done.contains(&(act.run, 0)) && !self.failed.contains(&act.run);
        self.require(is_its, "an act reaches another device");
        self.require(
            is_free,
            "asked again while an earlier request may still be followed",
        );
        self.require(is_first, "asked again after it was applied");
        self.require(is_ready && is_proven, "an act on a device that is not ready");
        let chip = &mut self.chips[link.chip];
        let look = |state| {
            Some(Look {
                device: act.device,
                epoch: link.epoch,
                cause: EpochCause::LinkLost,
                state,
                taken_at: Instant::from_nanos(NOW),
            })
        };
        match fault {
            Some(Fault::Refused) => look(chip.state),
            Some(Fault::Lingers) => {
                chip.pending = true;
                chip.connection += 1;
                None
            }
            _ => {
                chip.state = NEW;
                chip.applied += 1;
                if fault == Some(Fault::AnswerLost) {
                    chip.connection += 1;
                    return None;
                }
                look(NEW)
            }
        }
    }

    pub(super) fn tell(&mut self, n: usize, reply: Reply) {
        let path = slot(u8::try_from(n + 1).unwrap());
        let truly = match &reply {
            Reply::Identified(epoch, device, _) => Some((*epoch, *device)),
            _ => None,
        };
        let Some(reply) = self.alter_reply(n, reply) else {
            return;
        };
        let input = match reply {
            Reply::Seen(cause) => Input::Seen { slot: path, cause },
            Reply::Gone => Input::Gone { slot: path },
            Reply::Identified(epoch, device, state) => Input::Identified {
                slot: path,
                epoch,
                device,
                state,
                security: SecurityState::Secure,
                read_at: Instant::from_nanos(NOW),
            },
            Reply::Unresponsive(epoch) => Input::Unresponsive {
                slot: path,
                epoch,
                error: told("board.silent"),
            },
            Reply::Performed(epoch, run, outcome, is_link_over) => {
                let report = match outcome {
                    Outcome::Pass => Report {
                        is_link_over,
                        ..Report::passed()
                    },
                    _ => Report::failed(outcome, told("step.failed"), is_link_over),
                };
                Input::Performed {
                    slot: path,
                    epoch,
                    run,
                    report,
                }
            }
            Reply::Read(run, facts) => Input::Read {
                slot: path,
                run,
                facts,
            },
            Reply::Acted(run, key, look) => Input::Acted {
                slot: path,
                run,
                key,
                look,
                error: Some(told("device.no-answer")),
            },
        };
        if let Ok(events) = self.line.take(input, stamp(NOW)) {
            self.answered.extend(truly);
            self.write(events);
        }
        if self.bug == Some(Bug::ReceiptAhead) {
            self.receipt(self.journal.len());
        }
    }
}
