//! What a command line is made of: types of the tables in [`crate::commands`].

use crate::layout::Layout;
use crate::profile::In;
use crate::work::Action;

/// How much an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    One,
    /// All that follows up to the next option.
    Many,
}

/// One option. Spellings of the newer generations; the classic one leaves out the hyphens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opt {
    /// By which name the value is asked for. Options of several generations may share it.
    pub(crate) key: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) of: In,
    pub(crate) takes: Takes,
    pub(crate) needed: In,
    /// What it may be, if that is a short list. Case does not matter.
    pub(crate) among: &'static [&'static str],
    pub(crate) about: &'static str,
}

impl Opt {
    const fn new(
        key: &'static str,
        names: &'static [&'static str],
        takes: Takes,
        about: &'static str,
    ) -> Self {
        Self {
            key,
            names,
            of: In::ALL,
            takes,
            needed: In(0),
            among: &[],
            about,
        }
    }

    /// Only these generations have it.
    pub(crate) const fn of(mut self, of: In) -> Self {
        self.of = of;
        self
    }

    /// It must be there.
    pub(crate) const fn needed(mut self) -> Self {
        self.needed = In::ALL;
        self
    }

    pub(crate) const fn among(mut self, words: &'static [&'static str]) -> Self {
        self.among = words;
        self
    }
}

pub(crate) const fn flag(key: &'static str, names: &'static [&'static str], about: &'static str) -> Opt {
    Opt::new(key, names, Takes::Nothing, about)
}

pub(crate) const fn one(key: &'static str, names: &'static [&'static str], about: &'static str) -> Opt {
    Opt::new(key, names, Takes::One, about)
}

pub(crate) const fn many(key: &'static str, names: &'static [&'static str], about: &'static str) -> Opt {
    Opt::new(key, names, Takes::Many, about)
}

/// Lines of a command that takes long, by the stage that each belongs to.
pub(crate) type Stages = &'static [(&'static str, &'static str)];

/// One command in all generations that have it.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) action: Action,
    /// Its words, without short names of groups. One generation may have several.
    pub(crate) names: &'static [(In, &'static str)],
    pub(crate) about: &'static str,
    pub(crate) options: &'static [Opt],
    /// How its answer looks as text.
    pub(crate) texts: &'static [(In, Layout)],
    /// What it prints while it works, where it takes long.
    pub(crate) stages: &'static [(In, Stages)],
    /// How its failure is told: `{error}` and the values of options.
    pub(crate) failure: &'static str,
    /// Whether it takes whatever else comes: it answers the same in any case.
    pub(crate) takes_all: bool,
}

impl Command {
    pub(crate) const fn new(
        action: Action,
        names: &'static [(In, &'static str)],
        about: &'static str,
        options: &'static [Opt],
        texts: &'static [(In, Layout)],
    ) -> Self {
        Self {
            action,
            names,
            about,
            options,
            texts,
            stages: &[],
            failure: "{error}",
            takes_all: false,
        }
    }

    /// One that cannot be done here, whatever its options are.
    pub(crate) const fn elsewhere(
        action: Action,
        names: &'static [(In, &'static str)],
        about: &'static str,
    ) -> Self {
        Self {
            takes_all: true,
            ..Self::new(action, names, about, &[], &[])
        }
    }

    /// It prints these lines while it works.
    pub(crate) const fn telling(self, stages: &'static [(In, Stages)]) -> Self {
        Self { stages, ..self }
    }

    /// The line of a stage in a generation, if that generation has one.
    pub(crate) fn stage(&self, of: In, name: &str) -> Option<&'static str> {
        let (_, stages) = self.stages.iter().find(|(in_, _)| in_.has(of))?;
        stages
            .iter()
            .find(|(stage, _)| *stage == name)
            .map(|(_, line)| *line)
    }

    pub(crate) const fn failing(self, failure: &'static str) -> Self {
        Self { failure, ..self }
    }

    /// Its text in a generation.
    pub(crate) fn text(&self, of: In) -> Option<&Layout> {
        self.texts
            .iter()
            .find(|(in_, _)| in_.has(of))
            .map(|(_, layout)| layout)
    }

    /// Its words in a generation, the usual ones first.
    pub(crate) fn names_in(&self, of: In) -> impl Iterator<Item = &'static str> {
        self.names
            .iter()
            .filter(move |(in_, _)| in_.has(of))
            .map(|(_, name)| *name)
    }
}
