//! Where everything random in a simulated world comes from: one number.

use p256::ecdsa::SigningKey;
use sha2::{Digest, Sha256};

/// A point in a tree of seeds. Each branch has its own stream, so drawing more in one place changes nothing in
/// another: board 3 is the same chip in a world of 4 boards and in one of 64.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    /// Blank: private keys are made from it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Seed {
    /// The root for a number that a person chose.
    pub fn new(number: u64) -> Self {
        Self(
            Sha256::digest([b"lineside simulated world\0".as_slice(), &number.to_be_bytes()].concat()).into(),
        )
    }

    /// A seed of its own for the thing that `name` names.
    pub fn branch(&self, name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(b"/");
        hash.update(name.as_bytes());
        Self(hash.finalize().into())
    }

    /// A stream of numbers.
    pub fn draws(&self) -> Draws {
        Draws {
            seed: self.clone(),
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    /// A P-256 key.
    pub fn key(&self) -> SigningKey {
        let mut draws = self.draws();
        loop {
            let mut secret = [0; 32];
            draws.fill(&mut secret);
            // All but one in 2^32 numbers of this size are below the order of the curve.
            if let Ok(key) = SigningKey::from_slice(&secret) {
                return key;
            }
        }
    }
}

/// Numbers drawn from a [`Seed`]: SHA-256 over the seed and a counter.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: Seed,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Draws {
    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                let mut hash = Sha256::new();
                hash.update(self.seed.0);
                hash.update(self.counter.to_be_bytes());
                self.block = hash.finalize().into();
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// A number from -1 to 1.
    pub fn signed_unit(&mut self) -> f64 {
        // 53 bits are what an f64 holds without loss.
        (self.number() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Any 16 bytes.
    pub fn sixteen(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_gives_the_same_stream_and_branches_are_apart() {
        let draw = |seed: &Seed| seed.draws().number();
        assert_eq!(draw(&Seed::new(7)), draw(&Seed::new(7)));
        assert_ne!(draw(&Seed::new(7)), draw(&Seed::new(8)));
        assert_ne!(draw(&Seed::new(7).branch("a")), draw(&Seed::new(7).branch("b")));
        assert_eq!(Seed::new(7).branch("a").key(), Seed::new(7).branch("a").key());
    }

    #[test]
    fn units_stay_in_range_and_reach_both_halves() {
        let mut draws = Seed::new(1).draws();
        let units: Vec<f64> = (0..1000).map(|_| draws.signed_unit()).collect();
        assert!(units.iter().all(|unit| (-1.0..=1.0).contains(unit)));
        assert!(units.iter().any(|unit| *unit < -0.5) && units.iter().any(|unit| *unit > 0.5));
    }
}
