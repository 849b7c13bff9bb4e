//! What is answered to which request: a function of the picture.

use lineside_terms::{DeviceId, SlotPath, Told};
use serde::Serialize;

use crate::assume;
use crate::picture::{BoardPicture, Picture, Standing};

/// Our own answers, described for programs. It is served, too.
pub const OPEN_API: &str = include_str!("../../api/openapi.json");

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// Which methods this path takes, when it was another.
    pub allow: Option<&'static str>,
}

/// One device as the vendor's service lists it. The order of the fields is theirs (`device-rest-api.md` 7).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    ip_address: String,
    device_connection_path: &'a SlotPath,
}

#[derive(Serialize)]
struct Boards<'a> {
    version: u32,
    boards: Vec<Board<'a>>,
}

#[derive(Serialize)]
struct Board<'a> {
    slot: &'a SlotPath,
    board_serial: Option<&'a str>,
    address: Option<String>,
    standing: &'static str,
    leased_by: Option<&'a str>,
    device: Option<DeviceId>,
    epoch: u64,
    doors: Vec<Door>,
    connections: usize,
    to_device: u64,
    from_device: u64,
    error: Option<&'a Told>,
}

#[derive(Serialize)]
struct Door {
    carries: &'static str,
    port: u16,
    at: String,
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

/// Answers a request for `path`. `host` is what the client calls this PC: a name of another one is refused, so that no
/// page of another site reads this in somebody's browser.
pub fn answer(picture: &Picture, method: &str, path: &str, host: Option<&str>) -> Answer {
    if !host.is_some_and(is_this_pc) {
        return refuse(403, "ask for localhost", None);
    }
    let (takes, body) = match path {
        "/api/service/devices" => ("GET", json(&listed(picture))),
        "/api/service/devices/rescan" => ("PUT", json(&listed(picture).len())),
        "/api/lineside/v1/boards" => ("GET", json(&boards(picture))),
        "/api/lineside/v1/openapi.json" => ("GET", OPEN_API.to_owned()),
        _ => return refuse(404, "there is nothing here", None),
    };
    match method == takes {
        true => Answer {
            status: 200,
            body,
            allow: None,
        },
        false => refuse(405, "this path takes another method", Some(takes)),
    }
}

fn is_this_pc(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1"
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("every field has a JSON form")
}

fn refuse(status: u16, error: &str, allow: Option<&'static str>) -> Answer {
    Answer {
        status,
        body: json(&Refused { error }),
        allow,
    }
}

/// What the vendor's service knows. A board without an address is not reached by its clients.
fn listed(picture: &Picture) -> Vec<Listed<'_>> {
    let is_listed = |board: &&BoardPicture| {
        assume::LISTS_THE_SILENT || matches!(board.standing, Standing::Ready | Standing::Leased { .. })
    };
    let boards = picture.boards.iter().filter(is_listed);
    boards
        .filter_map(|board| {
            Some(Listed {
                ip_address: board.address?.to_string(),
                device_connection_path: &board.slot,
            })
        })
        .collect()
}

fn boards(picture: &Picture) -> Boards<'_> {
    Boards {
        version: 1,
        boards: picture.boards.iter().map(of_board).collect(),
    }
}

fn of_board(board: &BoardPicture) -> Board<'_> {
    let BoardPicture {
        slot,
        board_serial,
        address,
        standing,
        trouble,
        device,
        epoch,
        doors,
        connections,
        to_device,
        from_device,
    } = board;
    let (standing, leased_by, error) = standing.told();
    Board {
        slot,
        board_serial: board_serial.as_deref(),
        address: address.map(|address| address.to_string()),
        standing,
        leased_by,
        device: *device,
        epoch: epoch.0,
        doors: doors
            .iter()
            .map(|door| Door {
                carries: door.carries.word(),
                port: door.port,
                at: door.at.to_string(),
            })
            .collect(),
        connections: *connections,
        to_device: *to_device,
        from_device: *from_device,
        error: trouble.as_ref().or(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_terms::{Blame, Epoch};

    fn board(slot: &str, address: Option<&str>, standing: Standing) -> BoardPicture {
        BoardPicture {
            slot: slot.parse().unwrap(),
            board_serial: Some("SAMPLE".into()),
            address: address.map(|text| text.parse().unwrap()),
            trouble: None,
            device: (standing == Standing::Ready).then(|| DeviceId::from_bytes([0xab; 64])),
            standing,
            epoch: Epoch(3),
            doors: vec![crate::Door {
                carries: crate::Carries::Tcp,
                port: 443,
                at: "127.0.0.1:44300".parse().unwrap(),
            }],
            connections: 1,
            to_device: 10,
            from_device: 20,
        }
    }

    fn picture() -> Picture {
        let told = Told {
            code: "device.tcp-timeout".into(),
            message: "no answer".into(),
            help: "Check power.".into(),
            blame: Blame::Device,
        };
        Picture {
            boards: vec![
                board("1243", Some("192.168.35.2"), Standing::Ready),
                board("1253", Some("192.168.35.3"), Standing::Silent(told)),
                board(
                    "1263",
                    Some("192.168.35.4"),
                    Standing::Leased { by: "run".into() },
                ),
                board("1273", None, Standing::Identifying),
            ],
        }
    }

    fn get(picture: &Picture, path: &str) -> String {
        let answer = answer(picture, "GET", path, Some("localhost:48938"));
        assert_eq!(answer.status, 200);
        answer.body
    }

    #[test]
    fn the_vendor_s_list_is_so_to_the_byte() {
        let path = "/api/service/devices";
        assert_eq!(get(&Picture::default(), path), "[]");
        let one = Picture {
            boards: picture().boards[..1].to_vec(),
        };
        // device-rest-api.md 7.
        assert_eq!(
            get(&one, path),
            r#"[{"IpAddress":"192.168.35.2","DeviceConnectionPath":"1243"}]"#
        );
        assert_eq!(
            get(&picture(), path),
            r#"[{"IpAddress":"192.168.35.2","DeviceConnectionPath":"1243"},{"IpAddress":"192.168.35.3","DeviceConnectionPath":"1253"},{"IpAddress":"192.168.35.4","DeviceConnectionPath":"1263"}]"#
        );
        let rescan = answer(
            &picture(),
            "PUT",
            "/api/service/devices/rescan",
            Some("localhost"),
        );
        assert_eq!((rescan.status, rescan.body.as_str()), (200, "3"));
    }

    #[test]
    fn our_answers_are_as_they_are_described() {
        let document: serde_json::Value = serde_json::from_str(OPEN_API).unwrap();
        let paths = document["paths"].as_object().unwrap();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                let mut schema =
                    operation["responses"]["200"]["content"]["application/json"]["schema"].clone();
                schema["components"] = document["components"].clone();
                let validator = jsonschema::validator_for(&schema).unwrap();
                for picture in [Picture::default(), picture()] {
                    let answer = answer(&picture, &method.to_uppercase(), path, Some("127.0.0.1"));
                    assert_eq!(answer.status, 200, "{path}");
                    let value = serde_json::from_str(&answer.body).unwrap();
                    let errors: Vec<_> = validator
                        .iter_errors(&value)
                        .map(|error| error.to_string())
                        .collect();
                    assert!(errors.is_empty(), "{path}: {errors:?}");
                }
            }
        }
        assert_eq!(paths.len(), 4, "every path is described");
        let error = &document["components"]["schemas"]["Refusal"];
        let refusal = answer(&picture(), "GET", "/", Some("localhost"));
        let value = serde_json::from_str(&refusal.body).unwrap();
        assert!(jsonschema::is_valid(error, &value));
    }

    #[test]
    fn others_are_refused() {
        let status = |method, path, host| answer(&picture(), method, path, host).status;
        let path = "/api/service/devices";
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:48938"] {
            assert_eq!(status("GET", path, Some(host)), 200, "{host}");
        }
        for host in [
            "",
            "example.test",
            "localhost.example.test",
            "127.0.0.1.example.test:48938",
            "localhost:x",
        ] {
            assert_eq!(status("GET", path, Some(host)), 403, "{host}");
        }
        assert_eq!(status("GET", path, None), 403);
        assert_eq!(status("GET", "/api/service/devices/", Some("localhost")), 404);
        let wrong = answer(&picture(), "DELETE", path, Some("localhost"));
        assert_eq!((wrong.status, wrong.allow), (405, Some("GET")));
    }
}
