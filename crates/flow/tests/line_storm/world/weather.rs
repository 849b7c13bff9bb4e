//! What happens to the world: acts, mishaps, calm; and what must be so whatever happened.

use super::*;

impl World {
    /// Checks a permit as the one place does that can send an act, sends it, and lets the device be the judge.
    pub(super) fn act(&mut self, path: &SlotPath, permit: Permit) -> Option<Look> {
        let link = self.alive(path)?;
        let now = Instant::from_nanos(self.now);
        let is_good = {
            let chip = &self.chips[link.chip];
            chip.id == *permit.device()
                && chip.state == permit.from()
                && link.epoch == permit.epoch()
                && SessionTag::from_bytes(u128::from(link.tag).to_le_bytes()) == permit.session()
                && link.writes == permit.writes()
                && chip.boots >= permit.uptime_s()
                && now < permit.expires()
        };
        if !is_good {
            return None;
        }
        let is_clone_about = self.is_clone_about;
        let roll = if self.is_calm { 99 } else { self.dice.below(100) };
        let chip = &mut self.chips[link.chip];
        // Two chips with one id cannot be told apart once one of them is gone; nothing is promised about them.
        if !(is_clone_about && chip.id == device(1)) {
            assert_eq!(
                chip.pending, None,
                "asked again while an earlier request may still be followed"
            );
        }
        assert_eq!(chip.applied, 0, "asked again after it was applied");
        chip.asked += 1;
        let mut look = Some(Look {
            device: chip.id,
            epoch: link.epoch,
            cause: EpochCause::LinkLost,
            state: chip.state,
            taken_at: now,
        });
        match roll {
            // Refused, told or not.
            0..8 => {}
            8..14 => look = None,
            // Received; whether it will be followed nobody knows.
            14..34 => {
                chip.pending = Some(permit.target());
                look = None;
            }
            // Done, and nobody hears of it.
            34..54 => {
                chip.apply(permit.target());
                chip.connection += 1;
                look = None;
            }
            _ => {
                chip.apply(permit.target());
                look = look.map(|look| Look {
                    state: permit.target(),
                    ..look
                });
            }
        }
        look
    }

    // What happens

    /// One thing happens.
    pub(crate) fn happen(&mut self) {
        let Some(path) = self.some_worker() else {
            self.sync();
            self.tell_receipt();
            return;
        };
        match self.dice.below(100) {
            0..20 => {
                self.work(&path);
            }
            20..35 => {
                self.deliver(&path);
            }
            35..42 => self.sync(),
            42..50 => self.tell_receipt(),
            50..56 => self.bench_news(),
            56..60 => self.late_apply(),
            60..64 => self.tell_again(),
            64..70 => self.check(),
            // Some storms are rough, in others the work goes on most of the time.
            _ if self.dice.percent(self.roughness) => self.mishap(),
            _ => {
                self.work(&path);
                self.deliver(&path);
                self.sync();
                self.tell_receipt();
            }
        }
    }

    fn mishap(&mut self) {
        self.mishaps += 1;
        let chip = self.dice.below(self.chips.len());
        match self.dice.below(20) {
            0..3 => self.unplug(),
            3..8 => self.plug(),
            8..11 => {
                self.chips[chip].connection += 1;
                if self.dice.percent(50)
                    && let Some(socket) = self.chips[chip].socket
                {
                    self.news
                        .push_back(Reply::Seen(slot(socket), EpochCause::LinkLost));
                }
            }
            11..13 => self.chips[chip].restart(),
            13 => self.now += self.dice.next() % 40_000_000_000,
            14..16 => self.crash(),
            16 => self.rarely(),
            _ => self.late_apply(),
        }
    }

    fn rarely(&mut self) {
        match self.dice.below(4) {
            0 => {
                let events = self.line.take(Input::Cancel, stamp(self.now));
                self.journal.extend(events.unwrap_or_default());
            }
            1 if !self.is_store_down => self.begin(),
            2 => {
                let _ = self.line.take(Input::StoreFailed, stamp(self.now));
                self.is_store_down = true;
                assert!(!self.line.picture().is_store_up);
            }
            _ => self.crash(),
        }
    }

    /// No more bad luck: everything under way comes to an end.
    pub(crate) fn calm_down(&mut self) {
        self.say(|| "== calm".to_owned());
        self.is_calm = true;
        if self.is_store_down {
            self.crash();
        }
        for _ in 0..400 {
            while !self.news.is_empty() {
                self.bench_news();
            }
            self.sync();
            self.tell_receipt();
            let paths: Vec<SlotPath> = self.workers.keys().cloned().collect();
            let mut is_busy = false;
            for path in &paths {
                is_busy |= self.work(path);
                is_busy |= self.deliver(path);
            }
            if self.dice.percent(20) {
                self.late_apply();
            }
            if !is_busy && self.durable == self.journal.len() && self.receipt == self.durable {
                self.is_calm = false;
                return;
            }
        }
        panic!("it goes on for ever");
    }

    // What must be so

    /// What must be so at any moment.
    pub(crate) fn check(&self) {
        let picture = self.line.picture();
        let measuring = picture.slots.iter().filter(|slot| {
            let step = slot.step.as_ref();
            step.is_some_and(|(label, ..)| label == "measure")
        });
        assert!(measuring.count() <= 1, "one analyser, two users");
        for slot in picture.slots.iter().filter(|slot| slot.standing.is_pass()) {
            let run = slot.run.expect("a unit that passed has a run");
            assert!(
                self.promised.passed.contains(&run),
                "a pass is shown that is not recorded"
            );
        }
    }

    /// What must be so when nothing more happens.
    pub(crate) fn check_settled(&self) {
        self.check();
        let picture = self.line.picture();
        for slot in &picture.slots {
            assert!(slot.standing.is_settled(), "it hangs: {slot:?}");
        }
        for n in 1..=SLOTS {
            let Some(chip) = self.chip_at(n) else { continue };
            let chip = &self.chips[chip];
            let there = self.line.picture_of(&slot(n)).expect("a board is in it");
            assert!(there.is_present && there.standing != Standing::Gone);
            // Of two chips with one id the engine sees one.
            let is_doubtful = self.is_clone_about && chip.id == device(1);
            if there.standing.is_pass() && !is_doubtful {
                assert_eq!(there.device, Some(chip.id));
                assert_eq!(
                    (chip.state, chip.applied),
                    (NEW, 1),
                    "a pass for a device that is not locked"
                );
            }
        }
        assert!(self.line.leased_instruments().is_empty());
        if self.dice.clone().percent(75) {
            return;
        }
        // The same history gives the same picture.
        let fold = resume(99, "", &self.journal).unwrap();
        assert_eq!(
            fold.picture(),
            picture,
            "the fold of the events is not what the engine lives by"
        );
        assert!(fold.unresolved().eq(self.line.unresolved()));
    }

    /// All boards are taken out and put back in, and everything works: then nothing may be left unresolved.
    pub(crate) fn begin_anew(&mut self) {
        self.crash();
        for n in 1..=SLOTS {
            if let Some(chip) = self.chip_at(n) {
                self.chips[chip].restart();
                self.news.push_back(Reply::Gone(slot(n)));
                self.news.push_back(Reply::Seen(slot(n), EpochCause::Attached));
            }
        }
        self.calm_down();
        self.check_settled();
        for intent in self.line.unresolved() {
            let id = intent.key.device;
            let there = self
                .chips
                .iter()
                .filter(|chip| chip.id == id && chip.socket.is_some());
            let is_doubtful = self.is_clone_about && id == device(1);
            assert!(
                is_doubtful || there.count() == 0,
                "{} could have been asked",
                intent.key
            );
        }
    }

    /// How many acts the devices have seen and followed.
    pub(crate) fn acts(&self) -> (u32, u32) {
        self.chips.iter().fold((0, 0), |(asked, applied), chip| {
            (asked + chip.asked, applied + chip.applied)
        })
    }
}
