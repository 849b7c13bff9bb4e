//! USB by lines of text, for a stand-in of FTDI's driver in another process.
//!
//! ```text
//! list                       → ok LOCATION:CLAIMED:SERIAL:PRODUCT …    claimed as 0010, texts as hex
//! claim 1113                 → ok NUMBER | none | busy                 location of a channel, in hex
//! release NUMBER             → ok
//! control NUMBER 0b 140 2    → ok [HEX] | stall | gone                 request, value, index, in hex
//! send NUMBER HEX            → ok TAKEN | gone
//! receive NUMBER             → ok [HEX] | gone
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::{Answer, ClaimError, Claimed, Setup};
use crate::World;

/// Longest line that is read, in bytes: a large transfer in hex.
const LONGEST: u64 = 256 * 1024;

/// What one client has claimed. Dropping it releases everything, as a kernel does with a dead program.
#[derive(Debug)]
pub struct UsbLines {
    world: World,
    claimed: BTreeMap<u32, Claimed>,
    last: u32,
}

impl UsbLines {
    /// A new client of this world's USB.
    pub fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            claimed: BTreeMap::new(),
            last: 0,
        }
    }

    /// Answers one line. Whatever is no question is answered with `what`.
    pub fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        self.try_answer(&words).unwrap_or_else(|| "what".to_owned())
    }

    fn try_answer(&mut self, words: &[&str]) -> Option<String> {
        Some(match *words {
            ["list"] => self.list(),
            ["claim", location] => self.claim(u32::from_str_radix(location, 16).ok()?),
            ["release", number] => {
                self.claimed.remove(&number.parse().ok()?);
                "ok".to_owned()
            }
            ["control", number, request, value, index] => {
                let setup = Setup {
                    request: u8::from_str_radix(request, 16).ok()?,
                    value: u16::from_str_radix(value, 16).ok()?,
                    index: u16::from_str_radix(index, 16).ok()?,
                };
                match self.claimed(number)?.control(setup) {
                    Ok(Answer::Done) => "ok".to_owned(),
                    Ok(Answer::Data(bytes)) => format!("ok {}", hex::encode(bytes)),
                    Ok(Answer::Stall) => "stall".to_owned(),
                    Err(_) => "gone".to_owned(),
                }
            }
            ["send", number, bytes] => match self.claimed(number)?.bulk_out(&hex::decode(bytes).ok()?) {
                Ok(count) => format!("ok {count}"),
                Err(_) => "gone".to_owned(),
            },
            ["receive", number] => match self.claimed(number)?.bulk_in() {
                Ok(None) => "ok".to_owned(),
                Ok(Some(bytes)) => format!("ok {}", hex::encode(bytes)),
                Err(_) => "gone".to_owned(),
            },
            _ => return None,
        })
    }

    fn claimed(&mut self, number: &str) -> Option<&mut Claimed> {
        self.claimed.get_mut(&number.parse().ok()?)
    }

    fn list(&self) -> String {
        let boards = (0..self.world.board_count()).filter_map(|board| {
            let port = self.world.usb_port(board).ok()?;
            let serial = port.serial()?;
            let service = u32::from_str_radix(port.slot().as_str(), 16).ok()?;
            let claimed: String = (0..4)
                .map(|channel| if port.is_claimed(channel) { '1' } else { '0' })
                .collect();
            let product = hex::encode("MSFT MT3620 Std Interface");
            Some(format!(
                " {:x}:{claimed}:{}:{product}",
                service & !0xF,
                hex::encode(serial)
            ))
        });
        format!("ok{}", boards.collect::<String>())
    }

    fn claim(&mut self, location: u32) -> String {
        // A slot is the location of its board's service channel, which is the third.
        let slot = format!("{:x}", location & !0xF | 3);
        let channel = (location & 0xF).checked_sub(1);
        let board = (0..self.world.board_count())
            .find(|board| self.world.slot(*board).is_ok_and(|known| known.as_str() == slot));
        let (Some(channel), Some(board)) = (channel, board) else {
            return "none".to_owned();
        };
        let claimed = self
            .world
            .usb_port(board)
            .map(|port| port.claim(channel as usize));
        match claimed {
            Ok(Ok(claimed)) => {
                self.last += 1;
                self.claimed.insert(self.last, claimed);
                format!("ok {}", self.last)
            }
            Ok(Err(ClaimError::Busy)) => "busy".to_owned(),
            Ok(Err(ClaimError::Gone | ClaimError::NoSuchChannel)) | Err(_) => "none".to_owned(),
        }
    }
}

/// Serves the USB of a world to whoever connects, a thread for each, until the process ends.
///
/// # Errors
/// When no thread can be started.
pub fn serve(world: &World, listener: TcpListener) -> io::Result<()> {
    let world = world.clone();
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let world = world.clone();
            // Who cannot be served finds the connection closed.
            let _ = std::thread::Builder::new()
                .name("usb-client".into())
                .spawn(move || serve_one(&world, stream));
        }
    };
    std::thread::Builder::new()
        .name("usb".into())
        .spawn(accept)
        .map(drop)
}

fn serve_one(world: &World, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut client = UsbLines::new(world);
    let mut line = String::new();
    while reader.by_ref().take(LONGEST).read_line(&mut line)? > 0 {
        stream.write_all(format!("{}\n", client.answer(&line)).as_bytes())?;
        line.clear();
    }
    Ok(())
}
