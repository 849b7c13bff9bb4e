//! Inputs that are like the corpus but not quite: the same ones for the same seed, on every machine.

/// Longest input that is grown by mutation; seeds may be longer.
const LONGEST: usize = 4_096;

/// Values at which lengths and offsets go wrong.
const TELLING: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// Draws mutated inputs for ever.
pub(crate) struct Mutator {
    seeds: Vec<Vec<u8>>,
    /// State of SplitMix64, which is good enough to pick places and bytes.
    state: u64,
}

impl Mutator {
    /// Starts from `seeds`, or from nothing.
    pub(crate) fn new(mut seeds: Vec<Vec<u8>>, seed: u64) -> Self {
        seeds.push(Vec::new());
        Self { seeds, state: seed }
    }

    /// The next input: a seed with one to eight changes.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let pick = self.below(self.seeds.len());
        let mut bytes = self.seeds[pick].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return self.grow(bytes);
        }
        let at = self.below(bytes.len());
        match self.below(8) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.draw().to_le_bytes()[0],
            2 => self.overwrite_with_telling(bytes, at),
            3 => bytes.truncate(at),
            4 => self.remove(bytes, at),
            5 => self.repeat(bytes, at),
            6 => self.splice(bytes, at),
            _ => self.grow(bytes),
        }
    }

    fn grow(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(32) {
            if bytes.len() >= LONGEST {
                return;
            }
            let at = self.below(bytes.len() + 1);
            bytes.insert(at, self.draw().to_le_bytes()[0]);
        }
    }

    fn overwrite_with_telling(&mut self, bytes: &mut [u8], at: usize) {
        let value = TELLING[self.below(TELLING.len())];
        let width = [1, 2, 4, 8][self.below(4)].min(bytes.len() - at);
        let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
        let image = if self.below(2) == 0 {
            &little[..width]
        } else {
            &big[8 - width..]
        };
        bytes[at..at + width].copy_from_slice(image);
    }

    fn remove(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let end = at + 1 + self.below((bytes.len() - at).min(16));
        bytes.drain(at..end.min(bytes.len()));
    }

    fn repeat(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let end = at + 1 + self.below((bytes.len() - at).min(64));
        let part = bytes[at..end.min(bytes.len())].to_vec();
        if bytes.len() + part.len() <= LONGEST {
            bytes.splice(at..at, part);
        }
    }

    /// Goes over into another seed.
    fn splice(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let pick = self.below(self.seeds.len());
        let from = self.below(self.seeds[pick].len() + 1);
        let tail = self.seeds[pick][from..].to_vec();
        bytes.truncate(at);
        bytes.extend(tail);
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).expect("below a usize")
    }
}

/// FNV-1a: a name for bytes, the same everywhere.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn the_same_seed_gives_the_same_inputs_and_they_differ() {
    let draw = || {
        let mut mutator = Mutator::new(vec![b"{\"error\":13}".to_vec()], 7);
        (0..500).map(|_| mutator.next_input()).collect::<Vec<_>>()
    };
    let inputs = draw();
    assert_eq!(inputs, draw());
    let distinct: std::collections::BTreeSet<_> = inputs.iter().collect();
    assert!(distinct.len() > 450, "{} distinct", distinct.len());
}
