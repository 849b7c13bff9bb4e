//! Whether the vendor's service runs on this computer: it holds boards as long as it does
//! (`device-rest-api.md` 7).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Finding, Severity};

/// Where the vendor's Device Communication Service listens, on loopback (`device-rest-api.md` 7).
pub const SERVICE_PORT: u16 = 48_938;

/// A listener on loopback takes a connection at once; some systems need longer to say that there is none.
const CONNECTING: Duration = Duration::from_millis(500);

/// How long a service may take for its list.
const ANSWERING: Duration = Duration::from_secs(2);

/// More than any list of boards needs.
const LONGEST_ANSWER: u64 = 256 * 1024;

/// Looks whether somebody serves the port of the vendor's service, and whether it speaks like it.
pub fn service(port: u16) -> Finding {
    const TOPIC: &str = "vendor-service";
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(stream) = TcpStream::connect_timeout(&address, CONNECTING) else {
        return Finding::good(TOPIC, format!("nobody serves port {port}"));
    };
    match boards(stream, port) {
        Some(count) => Finding::bad(
            Severity::Warning,
            TOPIC,
            format!("the vendor's device service serves port {port} and lists {count} devices"),
            "It holds the boards that it lists: stop the service `Azure Sphere Device Communication Service` \
             before Lineside works on them.",
        ),
        None => Finding::bad(
            Severity::Warning,
            TOPIC,
            format!("a program that is not the vendor's device service holds port {port}"),
            "The vendor's tools and their clients cannot work beside it: end it, if you need them.",
        ),
    }
}

/// How many devices the service lists; `None` when it does not speak as the vendor's does.
fn boards(mut stream: TcpStream, port: u16) -> Option<usize> {
    stream.set_read_timeout(Some(ANSWERING)).ok()?;
    stream.set_write_timeout(Some(ANSWERING)).ok()?;
    let request = format!(
        "GET /api/service/devices HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: application/json\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // A service that keeps the connection open has said all by then.
    let _ = stream.take(LONGEST_ANSWER).read_to_end(&mut answer);
    count(&String::from_utf8_lossy(&answer))
}

/// How many devices an answer lists. Chunked or not, the list is what stands between the outermost brackets.
fn count(answer: &str) -> Option<usize> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 200") {
        return None;
    }
    let list = body.get(body.find('[')?..=body.rfind(']')?)?;
    let list: Vec<serde_json::Value> = serde_json::from_str(list).ok()?;
    let is_device = |device: &serde_json::Value| {
        device["IpAddress"].is_string() && device["DeviceConnectionPath"].is_string()
    };
    list.iter().all(is_device).then_some(list.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Serves one connection with these bytes, and looks at the port meanwhile.
    fn against(answer: &'static str) -> Finding {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        let finding = service(port);
        let request = serving.join().unwrap();
        assert!(
            request.starts_with("GET /api/service/devices HTTP/1.1\r\n"),
            "{request}"
        );
        finding
    }

    #[test]
    fn the_vendors_service_is_told_from_others() {
        let vendor = against(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
             [{\"IpAddress\":\"192.168.35.2\",\"DeviceConnectionPath\":\"1243\"}]",
        );
        assert_eq!(vendor.severity, Severity::Warning);
        assert!(vendor.found.contains("lists 1 devices"), "{vendor:?}");
        let chunked = against("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n");
        assert!(chunked.found.contains("lists 0 devices"), "{chunked:?}");
        for other in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 404 No\r\n\r\n[]",
            "HTTP/1.1 200 OK\r\n\r\n[1]",
        ] {
            let finding = against(other);
            assert_eq!(finding.severity, Severity::Warning);
            assert!(
                finding.found.contains("not the vendor's"),
                "{other:?} gives {finding:?}"
            );
        }
    }

    #[test]
    fn a_port_that_nobody_serves_is_good() {
        // Bound and not listening: nobody else takes it, and nobody is there.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap();
        assert_eq!(service(free.port()).severity, Severity::Good);
    }
}
