//! Requests and transfers as lines of text to whoever simulates the boards.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Sends one line, without its end, and returns the line that answers it.
pub type Line = Box<dyn FnMut(&str) -> io::Result<String> + Send>;

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    Busy,
    Stall,
    Gone,
}

/// A chip on the simulated USB.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) location: u32,
    pub(crate) serial: String,
    pub(crate) product: String,
    pub(crate) claimed: [bool; 4],
}

pub(crate) struct Usb(Line);

impl Usb {
    pub(crate) fn over(line: Line) -> Self {
        Self(line)
    }

    /// Reaches the boards that `LINESIDE_FTDI` names.
    pub(crate) fn by_environment() -> io::Result<Self> {
        let place = std::env::var("LINESIDE_FTDI").map_err(io::Error::other)?;
        let address: SocketAddr = match place.parse() {
            Ok(address) => address,
            Err(_) => std::fs::read_to_string(place)?
                .trim()
                .parse()
                .map_err(io::Error::other)?,
        };
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        Ok(Self(Box::new(move |line| {
            stream.write_all(format!("{line}\n").as_bytes())?;
            let mut answer = String::new();
            if reader.read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(answer.trim_end().to_owned())
        })))
    }

    fn line(&mut self, line: &str) -> Result<String, Refusal> {
        let answer = (self.0)(line).map_err(|_| Refusal::Gone)?;
        let (word, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        match word {
            "ok" => Ok(rest.to_owned()),
            "none" => Err(Refusal::NotFound),
            "busy" => Err(Refusal::Busy),
            "stall" => Err(Refusal::Stall),
            _ => Err(Refusal::Gone),
        }
    }

    pub(crate) fn list(&mut self) -> Result<Vec<Listed>, Refusal> {
        let answer = self.line("list")?;
        let chips = answer
            .split(' ')
            .filter(|chip| !chip.is_empty())
            .filter_map(|chip| {
                let mut fields = chip.split(':');
                let location = u32::from_str_radix(fields.next()?, 16).ok()?;
                let claimed = fields.next()?.as_bytes();
                Some(Listed {
                    location,
                    claimed: std::array::from_fn(|channel| claimed.get(channel) == Some(&b'1')),
                    serial: String::from_utf8(bytes(fields.next()?)?).ok()?,
                    product: String::from_utf8(bytes(fields.next()?)?).ok()?,
                })
            });
        Ok(chips.collect())
    }

    pub(crate) fn claim(&mut self, location: u32) -> Result<u32, Refusal> {
        self.line(&format!("claim {location:x}"))?
            .parse()
            .map_err(|_| Refusal::Gone)
    }

    pub(crate) fn release(&mut self, claim: u32) -> Result<(), Refusal> {
        self.line(&format!("release {claim}")).map(drop)
    }

    pub(crate) fn tell(&mut self, claim: u32, request: u8, value: u16, index: u16) -> Result<(), Refusal> {
        self.line(&format!("control {claim} {request:x} {value:x} {index:x}"))
            .map(drop)
    }

    pub(crate) fn ask(
        &mut self,
        claim: u32,
        request: u8,
        value: u16,
        index: u16,
    ) -> Result<Vec<u8>, Refusal> {
        let answer = self.line(&format!("control {claim} {request:x} {value:x} {index:x}"))?;
        bytes(&answer).ok_or(Refusal::Gone)
    }

    pub(crate) fn send(&mut self, claim: u32, from: &[u8]) -> Result<usize, Refusal> {
        let hex: String = from.iter().map(|byte| format!("{byte:02x}")).collect();
        self.line(&format!("send {claim} {hex}"))?
            .parse()
            .map_err(|_| Refusal::Gone)
    }

    pub(crate) fn receive(&mut self, claim: u32) -> Result<Option<Vec<u8>>, Refusal> {
        let answer = self.line(&format!("receive {claim}"))?;
        if answer.is_empty() {
            return Ok(None);
        }
        bytes(&answer).map(Some).ok_or(Refusal::Gone)
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
