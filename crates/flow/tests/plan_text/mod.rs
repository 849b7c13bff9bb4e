//! The sample plan in pieces, so that a test can change one thing and say what becomes of it.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "it is test data")]

use std::collections::{BTreeMap, BTreeSet};

use lineside_flow::plan::{Given, ImageFact, Plan, SetFact, parse};
use lineside_terms::{ComponentId, ImageId, ImageType};

pub(crate) const SAMPLE: &str = include_str!("../../../../plans/thermostat.toml");

/// A plan's text: what stands above the steps, and the steps by their ids.
#[derive(Clone)]
pub(crate) struct Text {
    pub(crate) head: String,
    pub(crate) steps: Vec<(String, String)>,
}

impl Text {
    /// The sample.
    pub(crate) fn sample() -> Self {
        let mut parts = SAMPLE.split("[[steps]]\n");
        let head = parts.next().unwrap().to_owned();
        let steps = parts
            .map(|step| {
                let id = step
                    .lines()
                    .next()
                    .unwrap()
                    .trim_start_matches("id = ")
                    .trim_matches('"');
                (id.to_owned(), format!("[[steps]]\n{step}"))
            })
            .collect();
        Self { head, steps }
    }

    /// Changes what stands above the steps.
    pub(crate) fn head(mut self, from: &str, to: &str) -> Self {
        assert!(self.head.contains(from), "{from}");
        self.head = self.head.replace(from, to);
        self
    }

    /// Changes one step.
    pub(crate) fn step(mut self, id: &str, from: &str, to: &str) -> Self {
        let place = self.place(id);
        let step = &mut self.steps[place].1;
        assert!(step.contains(from), "{from}");
        *step = step.replace(from, to);
        self
    }

    /// Takes a step out.
    pub(crate) fn without(mut self, id: &str) -> Self {
        let place = self.place(id);
        self.steps.remove(place);
        self
    }

    /// Puts keys for a new step before another one.
    pub(crate) fn before(mut self, id: &str, new: &str) -> Self {
        let place = self.place(id);
        self.steps
            .insert(place, (new.to_owned(), format!("[[steps]]\n{new}\n")));
        self
    }

    /// Puts keys for a new step at the end.
    pub(crate) fn at_end(mut self, new: &str) -> Self {
        self.steps.push((new.to_owned(), format!("[[steps]]\n{new}\n")));
        self
    }

    fn place(&self, id: &str) -> usize {
        self.steps
            .iter()
            .position(|(known, _)| known == id)
            .expect("the sample has this step")
    }

    pub(crate) fn text(&self) -> String {
        self.steps
            .iter()
            .fold(self.head.clone(), |text, (_, step)| text + step)
    }

    pub(crate) fn plan(&self) -> Plan {
        parse(&self.text()).unwrap()
    }
}

/// What the images of the sample are.
pub(crate) fn given() -> Given {
    let fact = |number: u128, image_type, ports: &[u16], pins: &[&str]| ImageFact {
        component: ComponentId::from_u128(number),
        image: ImageId::from_u128(number + 100),
        image_type,
        is_production_signed: true,
        is_temporary: false,
        tcp_ports: ports.iter().copied().collect(),
        pins: pins.iter().map(ToString::to_string).collect(),
        size: 20_000,
    };
    Given {
        images: BTreeMap::from([
            (
                "board-config".parse().unwrap(),
                fact(1, ImageType::CUSTOMER_BOARD_CONFIG, &[], &[]),
            ),
            (
                "test-application".parse().unwrap(),
                fact(2, ImageType::APPLICATION, &[11000], &["gpio 8", "uart ISU0"]),
            ),
            (
                "application".parse().unwrap(),
                fact(3, ImageType::APPLICATION, &[], &["gpio 8"]),
            ),
        ]),
        sets: BTreeMap::from([(
            "update".parse().unwrap(),
            SetFact {
                os: Some("24.06".to_owned()),
            },
        )]),
        releases: Some(BTreeSet::from(["24.06".to_owned()])),
        room: Some(1_000_000),
    }
}
