//! How two processes reach each other: a Unix socket, or TCP on loopback where there is none.
//!
//! A Unix socket is guarded by the permissions of its file. TCP is not: its port is written down in the directory,
//! and a client that does not begin with the [token](super::token), which only this user can read, is closed.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::token::{self, Token};

/// What is reached in a directory: each has its own socket there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Boards that are lent.
    Bench,
    /// Questions to whoever lends them.
    Control,
}

impl What {
    /// Names its files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::Control => "control",
        }
    }

    /// The file of the Unix socket.
    #[cfg(unix)]
    fn socket_file(self) -> String {
        format!("{}.sock", self.name())
    }

    /// The file with the port.
    fn port_file(self) -> String {
        format!("{}.port", self.name())
    }
}

/// A file gets its name only when it is complete.
const UNFINISHED: &str = ".new";

/// What a port file is at most: five digits, an end of line.
const LONGEST_PORT_FILE: u64 = 5 + 1;

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
    token: Option<Token>,
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

    fn tcp(stream: TcpStream, token: Option<Token>) -> Self {
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
        let mut given = token::blank();
        self.reader.read_exact(&mut given).await?;
        if token.is(given) {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

/// True when somebody lets clients in there. They see one that goes away again.
pub(super) fn is_answering(dir: &Path, what: What) -> bool {
    #[cfg(unix)]
    if std::os::unix::net::UnixStream::connect(dir.join(what.socket_file())).is_ok() {
        return true;
    }
    let port = fs::read_to_string(dir.join(what.port_file())).ok();
    let port: Option<u16> = port.and_then(|text| text.trim().parse().ok());
    port.is_some_and(|port| std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
}

enum Socket {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    Tcp(TcpListener, Token),
}

/// Where clients come in. Whoever makes one holds the right to lend in this directory until it is dropped.
pub(super) struct Listener {
    socket: Socket,
    /// What leads to it.
    files: Vec<PathBuf>,
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
            files: vec![file],
        })
    }

    fn bind_loopback(dir: &Path, what: What) -> io::Result<Self> {
        #[cfg(unix)]
        remove(&dir.join(what.socket_file()))?;
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let file = dir.join(what.port_file());
        // Whoever reads a token must not have read the port of an earlier lender before.
        remove(&file)?;
        let (token, token_file) = Token::create(dir, what, port)?;
        let unfinished = dir.join(format!("{}{UNFINISHED}", what.port_file()));
        fs::write(&unfinished, format!("{port}\n"))?;
        let socket = TcpListener::from_std(socket)?;
        fs::rename(&unfinished, &file)?;
        Ok(Self {
            socket: Socket::Tcp(socket, token),
            files: vec![file, token_file],
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
        for file in &self.files {
            let _ = remove(file);
        }
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
    let port = read_port(&dir.join(what.port_file()))?;
    let token = Token::read(dir, what, port)?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(token.bytes()).await?;
    Ok(Pipe::tcp(stream, None))
}

fn read_port(file: &Path) -> io::Result<u16> {
    use std::io::Read;

    let mut text = String::new();
    fs::File::open(file)?
        .take(LONGEST_PORT_FILE + 1)
        .read_to_string(&mut text)?;
    text.trim_end()
        .parse()
        .map_err(|_| io::Error::other("the file holds no port"))
}

/// Removes a file that need not be there.
pub(super) fn remove(file: &Path) -> io::Result<()> {
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
