//! Where programs come in.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use lineside_link::{Address, HeldAddress};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::error::BridgeError;
use crate::picture::{Carries, Door};

/// How programs reach devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// Each board at its own 192.168.35.N, as a local address of this PC, and the ports of the device as they are.
    Addresses,
    /// On loopback, one port for each board and port of its device. From `base` on board .2 has the first ports, .3 the
    /// next, and so on; without it the system chooses.
    Loopback {
        /// The first port.
        base: Option<u16>,
    },
}

/// The open doors of one board at one address.
#[derive(Debug)]
pub(crate) struct Doors {
    open: Vec<(Door, TcpListener)>,
    datagrams: Vec<(Door, UdpSocket)>,
    /// Taken back from the system when the doors close.
    _address: Option<HeldAddress>,
}

impl Doors {
    /// None.
    pub(crate) const fn none() -> Self {
        Self {
            open: Vec::new(),
            datagrams: Vec::new(),
            _address: None,
        }
    }

    /// Opens a door to each of these ports of the device, for connections and for datagrams.
    ///
    /// # Errors
    /// When the address cannot be had or one of the doors cannot be opened: then none is.
    pub(crate) fn open(
        ways: Ways,
        address: Address,
        ports: &[u16],
        datagram_ports: &[u16],
    ) -> Result<Self, BridgeError> {
        let (held, ip) = match ways {
            Ways::Addresses => (Some(HeldAddress::take(address)?), IpAddr::V4(address.ip())),
            Ways::Loopback { .. } => (None, IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        let place = usize::from(address.last_number() - Address::FIRST.last_number());
        // Those for datagrams come after the others, so that they move none.
        let each = ports.len() + datagram_ports.len();
        let own = |index: usize, port: u16| match ways {
            Ways::Addresses => Ok(port),
            Ways::Loopback { base: None } => Ok(0),
            Ways::Loopback { base: Some(base) } => u16::try_from(usize::from(base) + place * each + index)
                .map_err(|_| BridgeError::Ports { base }),
        };
        let mut open = Vec::with_capacity(ports.len());
        for (index, port) in ports.iter().enumerate() {
            let wanted = SocketAddr::new(ip, own(index, *port)?);
            let listener = listen(wanted)?;
            let at = listener.local_addr().map_err(refused(wanted))?;
            let (carries, port) = (Carries::Tcp, *port);
            open.push((Door { carries, port, at }, listener));
        }
        let mut datagrams = Vec::with_capacity(datagram_ports.len());
        for (index, port) in datagram_ports.iter().enumerate() {
            let wanted = SocketAddr::new(ip, own(ports.len() + index, *port)?);
            let socket = hear(wanted)?;
            let at = socket.local_addr().map_err(refused(wanted))?;
            let (carries, port) = (Carries::Udp, *port);
            datagrams.push((Door { carries, port, at }, socket));
        }
        Ok(Self {
            open,
            datagrams,
            _address: held,
        })
    }

    pub(crate) fn doors(&self) -> impl Iterator<Item = Door> {
        let datagrams = self.datagrams.iter().map(|(door, _)| *door);
        self.open.iter().map(|(door, _)| *door).chain(datagrams)
    }

    /// The doors for datagrams.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (Door, &UdpSocket)> {
        self.datagrams.iter().map(|(door, socket)| (*door, socket))
    }

    /// The next program that comes in, and the port of the device that it wants.
    pub(crate) fn poll_come(&self, cx: &mut Context<'_>) -> Poll<(u16, TcpStream)> {
        for (door, listener) in &self.open {
            // What fails is one program that went away again, or a system without descriptors: the next look tries again.
            if let Poll::Ready(Ok((stream, _))) = listener.poll_accept(cx) {
                return Poll::Ready((door.port, stream));
            }
        }
        Poll::Pending
    }
}

fn refused(at: SocketAddr) -> impl Fn(std::io::Error) -> BridgeError {
    move |source| {
        let at = at.to_string();
        match source.kind() {
            ErrorKind::AddrInUse => BridgeError::Taken { at },
            ErrorKind::PermissionDenied => BridgeError::Right { at },
            _ => BridgeError::Listen { at, source },
        }
    }
}

fn listen(at: SocketAddr) -> Result<TcpListener, BridgeError> {
    // The standard library lets a port be used again at once where that is the custom.
    let listener = std::net::TcpListener::bind(at).map_err(refused(at))?;
    listener.set_nonblocking(true).map_err(refused(at))?;
    TcpListener::from_std(listener).map_err(refused(at))
}

fn hear(at: SocketAddr) -> Result<UdpSocket, BridgeError> {
    let socket = std::net::UdpSocket::bind(at).map_err(refused(at))?;
    socket.set_nonblocking(true).map_err(refused(at))?;
    UdpSocket::from_std(socket).map_err(refused(at))
}
