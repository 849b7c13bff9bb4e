//! How two processes reach each other: a Unix socket, or TCP on loopback where there is none.
//!
//! A Unix socket is guarded by the permissions of its file. TCP is not, so its port is written down together with a
//! random token in a file that only this user can read, and a client that does not begin with the token is closed.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is reached in a directory: each has its own socket there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Boards that are lent.
    Bench,
    /// Questions to whoever lends them.
    Control,
}

impl What {
    /// The file of the Unix socket.
    #[cfg(unix)]
    const fn socket_file(self) -> &'static str {
        match self {
            Self::Bench => "bench.sock",
            Self::Control => "control.sock",
        }
    }

    /// The file with port and token.
    const fn port_file(self) -> &'static str {
        match self {
            Self::Bench => "bench.port",
            Self::Control => "control.port",
        }
    }
}

/// A file gets its name only when it is complete.
const UNFINISHED: &str = ".new";

const TOKEN: usize = 32;
/// What a port file is at most: five digits, a space, the token in hex, an end of line.
const LONGEST_PORT_FILE: u64 = 5 + 1 + 2 * TOKEN as u64 + 1;

/// How to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    #[cfg(unix)]
    UnixSocket,
    Loopback,
}

impl Kind {
    /// What fits this system best.
    pub(super) const fn native() -> Self {
        #[cfg(unix)]
        let kind = Self::UnixSocket;
        #[cfg(not(unix))]
        let kind = Self::Loopback;
        kind
    }
}

/// Both directions of a connection.
pub(super) struct Pipe {
    pub(super) reader: Box<dyn AsyncRead + Unpin>,
    pub(super) writer: Box<dyn AsyncWrite + Unpin>,
    /// What the client must begin with before it may be spoken to.
    token: Option<[u8; TOKEN]>,
}

impl Pipe {
    #[cfg(unix)]
    fn unix(stream: tokio::net::UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            token: None,
        }
    }

    fn tcp(stream: TcpStream, token: Option<[u8; TOKEN]>) -> Self {
        // Frames are gathered before they are written: waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            token,
        }
    }

    /// Waits for the client's token, if it needs one.
    pub(super) async fn admit(&mut self) -> io::Result<()> {
        let Some(token) = self.token else { return Ok(()) };
        let mut given = [0; TOKEN];
        self.reader.read_exact(&mut given).await?;
        // In the same time wherever they differ.
        let differs = given
            .iter()
            .zip(token)
            .fold(0, |differs, (a, b)| differs | (a ^ b));
        if differs == 0 {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

enum Socket {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    Tcp(TcpListener, [u8; TOKEN]),
}

/// Where clients come in. Whoever makes one holds the right to lend in this directory until it is dropped.
pub(super) struct Listener {
    socket: Socket,
    file: PathBuf,
}

impl Listener {
    /// Takes the place of whatever was left there.
    pub(super) fn bind(dir: &Path, what: What, kind: Kind) -> io::Result<Self> {
        match kind {
            #[cfg(unix)]
            Kind::UnixSocket => Self::bind_unix(dir, what),
            Kind::Loopback => Self::bind_loopback(dir, what),
        }
    }

    #[cfg(unix)]
    fn bind_unix(dir: &Path, what: What) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;

        // A client takes the first that it finds: nothing of an earlier lender may remain.
        remove(&dir.join(what.port_file()))?;
        let file = dir.join(what.socket_file());
        let unfinished = dir.join(format!("{}{UNFINISHED}", what.socket_file()));
        remove(&unfinished)?;
        let socket = std::os::unix::net::UnixListener::bind(short_enough(&unfinished)?.path())?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixListener::from_std(socket)?;
        fs::rename(&unfinished, &file)?;
        Ok(Self {
            socket: Socket::Unix(socket),
            file,
        })
    }

    fn bind_loopback(dir: &Path, what: What) -> io::Result<Self> {
        #[cfg(unix)]
        remove(&dir.join(what.socket_file()))?;
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token).map_err(|error| io::Error::other(error.to_string()))?;
        let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = dir.join(what.port_file());
        let unfinished = dir.join(format!("{}{UNFINISHED}", what.port_file()));
        remove(&unfinished)?;
        write_private(&unfinished, &format!("{port} {hex}\n"))?;
        let socket = TcpListener::from_std(socket)?;
        fs::rename(&unfinished, &file)?;
        Ok(Self {
            socket: Socket::Tcp(socket, token),
            file,
        })
    }

    /// The next client. It has not been [admitted](Pipe::admit) yet.
    pub(super) async fn accept(&self) -> io::Result<Pipe> {
        match &self.socket {
            #[cfg(unix)]
            Socket::Unix(listener) => Ok(Pipe::unix(listener.accept().await?.0)),
            Socket::Tcp(listener, token) => Ok(Pipe::tcp(listener.accept().await?.0, Some(*token))),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // What remains is replaced by the next lender, so failing here harms nobody.
        let _ = remove(&self.file);
    }
}

/// Reaches whoever serves that in `dir`.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` when nobody does.
pub(super) async fn connect(dir: &Path, what: What) -> io::Result<Pipe> {
    #[cfg(unix)]
    {
        let file = dir.join(what.socket_file());
        if file.exists() {
            let path = short_enough(&file)?;
            return Ok(Pipe::unix(tokio::net::UnixStream::connect(path.path()).await?));
        }
    }
    let (port, token) = read_port(&dir.join(what.port_file()))?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&token).await?;
    Ok(Pipe::tcp(stream, None))
}

fn read_port(file: &Path) -> io::Result<(u16, [u8; TOKEN])> {
    use std::io::Read;

    let mut text = String::new();
    fs::File::open(file)?
        .take(LONGEST_PORT_FILE + 1)
        .read_to_string(&mut text)?;
    parse_port(text.trim_end()).ok_or_else(|| io::Error::other("the file holds no port and token"))
}

fn parse_port(text: &str) -> Option<(u16, [u8; TOKEN])> {
    let (port, hex) = text.split_once(' ')?;
    if hex.len() != 2 * TOKEN || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut token = [0; TOKEN];
    for (index, byte) in token.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some((port.parse().ok()?, token))
}

/// Writes a file that nobody else may read. On Windows the directory decides who may.
fn write_private(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;

    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A path that fits into the address of a Unix socket, which holds about a hundred bytes.
#[cfg(unix)]
struct ShortPath {
    path: PathBuf,
    /// Keeps the path valid.
    _dir: Option<fs::File>,
}

#[cfg(unix)]
impl ShortPath {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// The path itself, or on Linux one through an open directory when it is too long.
#[cfg(unix)]
fn short_enough(path: &Path) -> io::Result<ShortPath> {
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;

    /// What every Unix allows.
    const LONGEST: usize = 100;

    let split = path.parent().zip(path.file_name());
    match split {
        Some((dir, name)) if cfg!(target_os = "linux") && path.as_os_str().as_bytes().len() > LONGEST => {
            let dir = fs::File::open(dir)?;
            let path = Path::new("/proc/self/fd")
                .join(dir.as_raw_fd().to_string())
                .join(name);
            Ok(ShortPath {
                path,
                _dir: Some(dir),
            })
        }
        _ => Ok(ShortPath {
            path: path.to_owned(),
            _dir: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_file_is_read_and_nonsense_refused() {
        let hex = "0f".repeat(TOKEN);
        assert_eq!(parse_port(&format!("8080 {hex}")), Some((8080, [15; TOKEN])));
        for text in [
            "",
            "8080",
            "70000 ",
            "8080 0f",
            &format!("x {hex}"),
            &format!("1 {}", "+1".repeat(TOKEN)),
        ] {
            assert_eq!(parse_port(text), None, "{text}");
        }
    }
}
