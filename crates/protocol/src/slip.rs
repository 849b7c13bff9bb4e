//! SLIP, the framing of packets on the service UART (RFC 1055; `chip-to-pc-and-recovery.md` 2.1).
//!
//! A packet stands between two END bytes; END and ESC inside it are written as two bytes. There is no checksum and
//! no length: a damaged packet is only noticed by what it carries, except for bad escapes and packets longer than
//! the link allows, which are dropped and counted here.

use memchr::{memchr, memchr2, memchr2_iter};

/// Ends a packet, and begins it too, so that noise before it becomes a packet of its own.
pub const END: u8 = 0xC0;
/// Begins an escaped byte.
pub const ESC: u8 = 0xDB;
/// After [`ESC`]: the packet holds an [`END`] here.
pub const ESC_END: u8 = 0xDC;
/// After [`ESC`]: the packet holds an [`ESC`] here.
pub const ESC_ESC: u8 = 0xDD;

/// How many bytes a packet of `packet_len` bytes takes on the wire at most.
pub const fn max_encoded_len(packet_len: usize) -> usize {
    2 * packet_len + 2
}

/// How many bytes this packet takes on the wire: its length, one more for each END or ESC in it, and two ENDs.
pub fn encoded_len(packet: &[u8]) -> usize {
    packet.len() + memchr2_iter(END, ESC, packet).count() + 2
}

/// Appends the packet to `out` as it goes over the wire, with END before and after it.
///
/// An empty packet becomes two ENDs, which every reader ignores.
pub fn encode_into(packet: &[u8], out: &mut Vec<u8>) {
    out.reserve(packet.len() + packet.len() / 64 + 8);
    out.push(END);
    let mut plain = 0;
    for at in memchr2_iter(END, ESC, packet) {
        out.extend_from_slice(&packet[plain..at]);
        out.extend_from_slice(if packet[at] == END {
            &[ESC, ESC_END]
        } else {
            &[ESC, ESC_ESC]
        });
        plain = at + 1;
    }
    out.extend_from_slice(&packet[plain..]);
    out.push(END);
}

/// What a [`Decoder`] has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets handed on.
    pub packets: u64,
    /// Packets dropped because they were longer than the link allows.
    pub too_long: u64,
    /// Packets dropped because an ESC was followed by something that cannot follow it.
    pub bad_escape: u64,
}

impl Counters {
    /// Packets dropped for any reason.
    pub const fn dropped(&self) -> u64 {
        self.too_long + self.bad_escape
    }
}

/// Takes bytes as they come and hands on whole packets.
///
/// Bytes may be cut anywhere between two calls. After anything bad the decoder is in step again at the next END. It
/// never holds more than one packet.
#[derive(Debug, Clone)]
pub struct Decoder {
    max_packet: usize,
    packet: Vec<u8>,
    state: State,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Inside a packet, or between two.
    Plain,
    /// The last byte was ESC.
    Escaped,
    /// The packet is lost: nothing matters before the next END.
    Lost,
}

impl Decoder {
    /// A decoder between two packets that drops packets of more than `max_packet` bytes.
    pub const fn new(max_packet: usize) -> Self {
        Self {
            max_packet,
            packet: Vec::new(),
            state: State::Plain,
            counters: Counters {
                packets: 0,
                too_long: 0,
                bad_escape: 0,
            },
        }
    }

    /// Takes the next bytes of the wire and calls `on_packet` for each packet that they complete, in order. Empty
    /// packets are passed over.
    pub fn push(&mut self, bytes: &[u8], mut on_packet: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            match self.state {
                State::Plain => rest = self.plain(rest, &mut on_packet),
                State::Escaped => {
                    rest = &rest[1..];
                    self.state = State::Plain;
                    match first {
                        ESC_END => self.keep(&[END]),
                        ESC_ESC => self.keep(&[ESC]),
                        _ => {
                            self.counters.bad_escape += 1;
                            self.packet.clear();
                            // An END here ends the damaged packet, so the next one is whole.
                            if first != END {
                                self.state = State::Lost;
                            }
                        }
                    }
                }
                State::Lost => {
                    let Some(end) = memchr(END, rest) else { return };
                    rest = &rest[end + 1..];
                    self.state = State::Plain;
                }
            }
        }
    }

    /// Forgets a packet that has begun. To be called when the wire was closed and opened again: what comes next
    /// continues nothing. Counters stay.
    pub fn reset(&mut self) {
        self.packet.clear();
        self.state = State::Plain;
    }

    /// What was seen so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// True while some bytes of a packet have come, but not its end.
    pub fn is_within_packet(&self) -> bool {
        self.state != State::Plain || !self.packet.is_empty()
    }

    /// Takes plain bytes up to the next END or ESC, and that byte.
    fn plain<'a>(&mut self, bytes: &'a [u8], on_packet: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let Some(at) = memchr2(END, ESC, bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (run, rest) = (&bytes[..at], &bytes[at + 1..]);
        if bytes[at] == ESC {
            self.keep(run);
            // When the run was too long the packet is lost already, and the escape with it.
            if self.state == State::Plain {
                self.state = State::Escaped;
            }
            return rest;
        }
        if self.packet.is_empty() && run.len() <= self.max_packet {
            // The common case: a whole packet without escapes is handed on where it lies.
            if !run.is_empty() {
                self.counters.packets += 1;
                on_packet(run);
            }
            return rest;
        }
        self.keep(run);
        if self.state == State::Plain {
            self.counters.packets += 1;
            on_packet(&self.packet);
        }
        self.reset();
        rest
    }

    /// Appends to the packet, or gives it up when it becomes too long.
    fn keep(&mut self, bytes: &[u8]) {
        if self.packet.len() + bytes.len() > self.max_packet {
            self.counters.too_long += 1;
            self.packet.clear();
            self.state = State::Lost;
        } else {
            self.packet.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(packet: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_into(packet, &mut out);
        out
    }

    fn decoded(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        decoder.push(bytes, |packet| packets.push(packet.to_vec()));
        packets
    }

    #[test]
    fn packets_look_as_rfc_1055_says() {
        assert_eq!(encoded(&[1, 2, 3]), [0xC0, 1, 2, 3, 0xC0]);
        assert_eq!(encoded(&[0xC0]), [0xC0, 0xDB, 0xDC, 0xC0]);
        assert_eq!(encoded(&[0xDB]), [0xC0, 0xDB, 0xDD, 0xC0]);
        assert_eq!(encoded(&[0xDB, 0xDC]), [0xC0, 0xDB, 0xDD, 0xDC, 0xC0]);
        assert_eq!(
            encoded(&[0x45, 0xC0, 0xDB, 0xDD]),
            [0xC0, 0x45, 0xDB, 0xDC, 0xDB, 0xDD, 0xDD, 0xC0]
        );
        assert_eq!(encoded(&[]), [0xC0, 0xC0]);
    }

    #[test]
    fn one_end_between_two_packets_is_enough() {
        let mut decoder = Decoder::new(10);
        assert_eq!(
            decoded(&mut decoder, &[0xC0, 1, 0xC0, 2, 0xC0, 0xC0, 0xC0]),
            [vec![1], vec![2]]
        );
        assert_eq!(
            decoder.counters(),
            Counters {
                packets: 2,
                ..Counters::default()
            }
        );
    }

    #[test]
    fn a_bad_escape_costs_its_packet_only() {
        let mut decoder = Decoder::new(10);
        assert_eq!(
            decoded(&mut decoder, &[0xC0, 1, 0xDB, 0x41, 2, 0xC0, 3, 0xC0]),
            [vec![3]]
        );
        assert_eq!(decoder.counters().bad_escape, 1);
        // An escape just before END: the END still ends the packet.
        assert_eq!(decoded(&mut decoder, &[1, 0xDB, 0xC0, 4, 0xC0]), [vec![4]]);
        assert_eq!(
            decoder.counters(),
            Counters {
                packets: 2,
                too_long: 0,
                bad_escape: 2
            }
        );
    }

    #[test]
    fn a_packet_that_is_too_long_is_dropped_once() {
        let mut decoder = Decoder::new(3);
        assert_eq!(decoded(&mut decoder, &[1, 2, 3, 0xC0]), [vec![1, 2, 3]]);
        assert_eq!(
            decoded(&mut decoder, &[1, 2, 3, 4, 0xDB, 0xDC, 5, 6, 7, 0xC0, 9, 0xC0]),
            [vec![9]]
        );
        assert_eq!(decoded(&mut decoder, &[1, 2]), Vec::<Vec<u8>>::new());
        assert_eq!(decoded(&mut decoder, &[3, 4, 0xDB]), Vec::<Vec<u8>>::new());
        assert_eq!(
            decoded(&mut decoder, &[0xDC, 0xC0, 0xDB, 0xDC, 0xC0]),
            [vec![0xC0]]
        );
        assert_eq!(
            decoder.counters(),
            Counters {
                packets: 3,
                too_long: 2,
                bad_escape: 0
            }
        );
    }

    #[test]
    fn an_escape_can_be_what_makes_it_too_long() {
        let mut decoder = Decoder::new(2);
        assert_eq!(
            decoded(&mut decoder, &[1, 2, 0xDB, 0xDD, 3, 0xC0, 4, 0xC0]),
            [vec![4]]
        );
        assert_eq!(decoder.counters().too_long, 1);
    }

    #[test]
    fn after_a_reset_nothing_is_left_of_a_packet() {
        let mut decoder = Decoder::new(10);
        decoded(&mut decoder, &[1, 2, 0xDB]);
        assert!(decoder.is_within_packet());
        decoder.reset();
        assert!(!decoder.is_within_packet());
        assert_eq!(decoded(&mut decoder, &[0xDC, 0xC0]), [vec![0xDC]]);
    }

    /// Bytes in which the four special values are common.
    fn wire() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), Just(END), Just(ESC), Just(ESC_END), Just(ESC_ESC)];
        proptest::collection::vec(byte, 0..300)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(packets in proptest::collection::vec(wire(), 0..5), cut in 1_usize..50) {
            let mut bytes = Vec::new();
            for packet in &packets {
                let before = bytes.len();
                encode_into(packet, &mut bytes);
                prop_assert_eq!(bytes.len() - before, encoded_len(packet));
                prop_assert!(encoded_len(packet) <= max_encoded_len(packet.len()));
            }
            let mut decoder = Decoder::new(300);
            let mut seen = Vec::new();
            for chunk in bytes.chunks(cut) {
                seen.extend(decoded(&mut decoder, chunk));
            }
            let sent: Vec<_> = packets.into_iter().filter(|packet| !packet.is_empty()).collect();
            prop_assert_eq!(seen, sent);
            prop_assert_eq!(decoder.counters().dropped(), 0);
            prop_assert!(!decoder.is_within_packet());
        }

        #[test]
        fn cuts_never_matter_and_a_good_packet_follows_any_noise(noise in wire(), cut in 1_usize..50) {
            let mut whole = Decoder::new(64);
            let mut seen = decoded(&mut whole, &noise);
            let mut cut_up = Decoder::new(64);
            let mut seen_cut_up = Vec::new();
            for chunk in noise.chunks(cut) {
                seen_cut_up.extend(decoded(&mut cut_up, chunk));
                prop_assert!(cut_up.packet.len() <= 64);
            }
            prop_assert_eq!(&seen, &seen_cut_up);
            prop_assert_eq!(whole.counters(), cut_up.counters());
            prop_assert!(seen.iter().all(|packet| (1..=64).contains(&packet.len())));

            seen = decoded(&mut whole, &encoded(&[7; 64]));
            prop_assert_eq!(seen.last().map(Vec::as_slice), Some(&[7; 64][..]));
        }
    }
}
