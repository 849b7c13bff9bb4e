//! Where a session takes its randomness from.

/// Where a session takes its randomness from: sequence numbers, first ports, session tags. Keys of TLS are drawn by
/// the TLS library itself.
#[derive(Debug, Clone)]
pub enum Entropy {
    /// The operating system.
    System,
    /// A sequence that this seed determines, so that a simulated run can be repeated. Two sessions must never have the
    /// same seed.
    Seeded(u64),
}

impl Entropy {
    /// Sixteen bytes for something that must be new: a nonce, an id.
    pub fn draw(&mut self) -> [u8; 16] {
        self.sixteen()
    }

    /// A source for one more session: of the system, or with a seed of its own.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        match self {
            Self::System => Self::System,
            Self::Seeded(_) => Self::Seeded(self.next()),
        }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        match self {
            Self::System => {
                let mut bytes = [0; 8];
                getrandom::fill(&mut bytes)
                    .expect("a system without randomness cannot make a TLS connection either");
                u64::from_le_bytes(bytes)
            }
            // SplitMix64: every state is visited once, so no value of the sequence comes twice.
            Self::Seeded(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                z ^ (z >> 31)
            }
        }
    }

    /// The next 128 bits.
    pub(crate) fn sixteen(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_the_system_does_not() {
        let take = |mut entropy: Entropy| (entropy.sixteen(), entropy.sixteen());
        assert_eq!(take(Entropy::Seeded(7)), take(Entropy::Seeded(7)));
        assert_ne!(take(Entropy::Seeded(7)), take(Entropy::Seeded(8)));
        assert_ne!(take(Entropy::System), take(Entropy::System));
        let (first, second) = take(Entropy::Seeded(0));
        assert_ne!(first, second);
    }
}
