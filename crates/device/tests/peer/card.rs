//! The wire's end of the peer: SLIP frames in, SLIP frames out.

use smoltcp::phy::{Device as Phy, DeviceCapabilities, Medium, RxToken, TxToken};

/// Reads SLIP byte by byte, in the plainest way.
#[derive(Default)]
pub(super) struct Framer {
    packet: Vec<u8>,
    escaped: bool,
}

impl Framer {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for byte in bytes {
            match (self.escaped, byte) {
                (_, 0xC0) => {
                    let packet = std::mem::take(&mut self.packet);
                    self.escaped = false;
                    if !packet.is_empty() {
                        packets.push(packet);
                    }
                }
                (false, 0xDB) => self.escaped = true,
                (true, 0xDC) => self.packet.push(0xC0),
                (true, 0xDD) => self.packet.push(0xDB),
                (_, byte) => self.packet.push(*byte),
            }
            if !matches!(byte, 0xDB) {
                self.escaped = false;
            }
        }
        packets
    }
}

pub(super) struct Card {
    pub(super) mtu: usize,
    pub(super) rx: Option<Vec<u8>>,
    pub(super) tx: Vec<u8>,
}

impl Phy for Card {
    type RxToken<'a> = In;
    type TxToken<'a> = Out<'a>;
    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(In, Out<'_>)> {
        let packet = self.rx.take()?;
        Some((In(packet), Out(&mut self.tx)))
    }
    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Out<'_>> {
        Some(Out(&mut self.tx))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

pub(super) struct In(Vec<u8>);
impl RxToken for In {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Out<'a>(&'a mut Vec<u8>);
impl TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(0xC0);
        for byte in packet {
            match byte {
                0xC0 => self.0.extend([0xDB, 0xDC]),
                0xDB => self.0.extend([0xDB, 0xDD]),
                byte => self.0.push(byte),
            }
        }
        self.0.push(0xC0);
        result
    }
}
