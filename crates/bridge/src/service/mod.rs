//! The device communication service on `http://localhost:48938` as the vendor's clients know it, and our richer answers
//! beside it.
//!
//! Who may ask: programs on this PC, for it listens on loopback alone; pages of other sites in a browser may not, for a
//! request that does not name this PC as its host is refused. Nothing can be changed through it.

mod answers;

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use lineside_protocol::rest::http::VERSION_HEADER;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::bridge::View;
use crate::error::BridgeError;

pub use answers::{Answer, OPEN_API, answer};

/// The port of the vendor's service (`azsphere-cli.md` 2, `chip-to-pc-and-recovery.md` 2.4).
pub const PORT: u16 = 48_938;

/// The version that the vendor's service says it has (`device-rest-api.md` 7).
const VERSION: &str = "1.0.0";

/// Programs at once. Each asks for a moment; the vendor's gallery asks every 0.2 s (`device-rest-api.md` 7).
const MOST_CLIENTS: usize = 64;

/// How long a client may take to say what it wants, and how long a connection is kept for its next question.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client's questions, in bytes of their heads together.
const MOST_HEAD: usize = 16 * 1024;

/// The service, not yet answering.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    at: SocketAddr,
}

impl Service {
    /// Takes the port, on loopback. Port 0 lets the system choose. Must be called within a `tokio` runtime.
    ///
    /// # Errors
    /// When another program has it, or the system refuses.
    pub fn bind(port: u16) -> Result<Self, BridgeError> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => BridgeError::ServiceTaken { port },
            _ => BridgeError::Listen {
                at: wanted.to_string(),
                source,
            },
        };
        let listener = std::net::TcpListener::bind(wanted).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let listener = TcpListener::from_std(listener).map_err(refused)?;
        let at = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, at })
    }

    /// Where it listens.
    pub const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Answers until the returned future is dropped. Must run on a `LocalSet`.
    pub async fn serve(self, view: View) {
        let mut clients = JoinSet::new();
        loop {
            while clients.try_join_next().is_some() {}
            if clients.len() >= MOST_CLIENTS {
                clients.join_next().await;
                continue;
            }
            let Ok((stream, _)) = self.listener.accept().await else {
                // One that went away again, or a system without descriptors: others get their turn first.
                tokio::task::yield_now().await;
                continue;
            };
            let view = view.clone();
            clients.spawn_local(async move {
                let answers = service_fn(|request| {
                    let answered = respond(&view, &request);
                    async move { Ok::<_, Infallible>(answered) }
                });
                let mut server = hyper::server::conn::http1::Builder::new();
                server
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .max_buf_size(MOST_HEAD);
                // What fails here is a client that went away or spoke no HTTP: it is the one to tell of it.
                let _ = server.serve_connection(TokioIo::new(stream), answers).await;
            });
        }
    }
}

fn respond(view: &View, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().host());
    let found = answer(
        &view.picture(),
        request.method().as_str(),
        request.uri().path(),
        host,
    );
    let mut response = Response::new(Full::new(Bytes::from(found.body)));
    *response.status_mut() = hyper::StatusCode::from_u16(found.status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(crate::assume::CONTENT_TYPE),
    );
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(allow) = found.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}
