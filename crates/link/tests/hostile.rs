//! Any bytes from the other end give a clear error and harm nobody else.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking"
)]

mod toy;

use std::cell::RefCell;
use std::path::Path;

use futures::StreamExt;
use lineside_link::remote::frame::{Message, VERSION, Version, Wish, decode, encoded};
use lineside_link::remote::{RemoteBench, WINDOW};
use lineside_link::{Bench, Line, LineSettings, LinkError, Port};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use toy::{ToyBench, connect, lend, on_a_local_set, slot, until};

async fn stranger(dir: &Path) -> UnixStream {
    UnixStream::connect(dir.join("bench.sock")).await.unwrap()
}

/// Says things to a lender and tells what it said last before it closed, if it said why.
async fn farewell(mut stream: UnixStream, words: &[u8]) -> Option<String> {
    // The lender may close before it has read everything.
    let _ = stream.write_all(words).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let mut rest = answer.as_slice();
    let mut reason = None;
    while let Some((message, used)) = decode(rest).expect("a lender speaks the protocol") {
        if let Message::Bye { reason: given } = message {
            reason = Some(given);
        }
        rest = &rest[used..];
    }
    assert!(rest.is_empty(), "a lender says whole messages");
    reason
}

fn said(messages: &[Message<'_>]) -> Vec<u8> {
    messages.iter().flat_map(encoded).collect()
}

const HELLO: Message<'static> = Message::Hello(VERSION);

fn wish() -> Wish {
    Wish {
        slot: slot(0),
        holder: "stranger".into(),
    }
}

#[test]
fn who_breaks_the_protocol_is_told_how() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(2, 64);
        let _serving = lend(dir.path(), &bench, false);
        let open = |wire| Message::Open {
            wire,
            board: 1,
            port: Port::Service,
        };
        let lease = Message::Lease {
            board: 1,
            wish: wish(),
        };
        let much = vec![0; 16 * 1024];
        let data = Message::Data {
            wire: 2,
            bytes: &much,
        };
        let newer = Message::Hello(Version {
            major: VERSION.major + 1,
            minor: 0,
        });
        let line = Message::Line {
            board: 1,
            line: Line::Reset,
            asserted: true,
        };
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (
                b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n".to_vec(),
                "it does not greet",
            ),
            (vec![0xff; 100], "it does not greet"),
            ([said(&[HELLO]), vec![0xff; 100]].concat(), "a frame is too long"),
            (said(&[Message::List { call: 1 }]), "it does not greet"),
            (
                said(&[newer]),
                "it speaks version 2 of the bench protocol, this program version 1",
            ),
            (said(&[HELLO, HELLO]), "a client may not say that"),
            (
                said(&[HELLO, Message::Leased { board: 1 }]),
                "a client may not say that",
            ),
            (
                said(&[HELLO, Message::List { call: 1 }, Message::List { call: 1 }]),
                "it uses a number twice",
            ),
            (
                said(&[HELLO, open(2)]),
                "it speaks of a board or wire that it does not have",
            ),
            (
                said(&[HELLO, line.clone()]),
                "it speaks of a board or wire that it does not have",
            ),
            (
                said(&[HELLO, data.clone()]),
                "it speaks of a board or wire that it does not have",
            ),
            (
                said(&[
                    HELLO,
                    lease.clone(),
                    open(2),
                    data.clone(),
                    data.clone(),
                    data.clone(),
                    data,
                ]),
                "it sends more than there is room for",
            ),
            (
                said(&[
                    HELLO,
                    lease.clone(),
                    open(2),
                    Message::Credit { wire: 2, bytes: 1 },
                ]),
                "it makes more room than there is",
            ),
        ];
        for (words, reason) in cases {
            let told = farewell(stranger(dir.path()).await, &words).await;
            assert_eq!(told.as_deref(), Some(reason));
            until(|| bench.leased() == 0).await;
        }
        let mut flood = vec![HELLO, lease];
        flood.extend(std::iter::repeat_n(line, 20_000));
        let told = farewell(stranger(dir.path()).await, &said(&flood)).await;
        assert!(told.is_none_or(|reason| reason == "it asks for too much at once"));
        assert_eq!(connect(dir.path()).await.list().await.unwrap().len(), 2);
    });
}

/// Something that a client may say, with numbers that often fit each other.
fn word() -> impl Strategy<Value = Message<'static>> {
    let id = || 0_u32..12;
    let port = prop_oneof![Just(Port::Service), Just(Port::Recovery), Just(Port::Debug)];
    let bytes = prop_oneof![Just(&b"x"[..]), Just(&[7; 5000][..])];
    prop_oneof![
        id().prop_map(|call| Message::List { call }),
        id().prop_map(|call| Message::Watch { call }),
        id().prop_map(|call| Message::Unwatch { call }),
        (id(), 0_usize..3).prop_map(|(board, number)| Message::Lease {
            board,
            wish: Wish {
                slot: slot(number),
                holder: "stranger".into()
            }
        }),
        id().prop_map(|board| Message::Release { board }),
        (id(), id(), port).prop_map(|(wire, board, port)| Message::Open { wire, board, port }),
        id().prop_map(|wire| Message::Close { wire }),
        (id(), any::<bool>()).prop_map(|(board, asserted)| Message::Line {
            board,
            line: Line::Reset,
            asserted
        }),
        id().prop_map(|wire| Message::Configure {
            wire,
            settings: LineSettings::CONSOLE
        }),
        id().prop_map(|wire| Message::Boundary { wire, byte: None }),
        (id(), bytes).prop_map(|(wire, bytes)| Message::Data { wire, bytes }),
        (id(), 0..WINDOW).prop_map(|(wire, bytes)| Message::Credit { wire, bytes }),
        Just(Message::Skipped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_client_says_the_others_are_served(
        words in proptest::collection::vec(word(), 0..40),
        counts_up in any::<bool>(),
        junk in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        on_a_local_set(async {
            let dir = tempfile::tempdir().unwrap();
            let bench = ToyBench::new(2, 64);
            let _serving = lend(dir.path(), &bench, false);
            let other = connect(dir.path()).await;
            let mut said_so_far = vec![HELLO];
            let last = RefCell::new(0);
            // Half of them use numbers as one must, so that they get further.
            let fresh = |id: u32| if counts_up { last.replace_with(|last| *last + 1) + 1 } else { id };
            said_so_far.extend(words.into_iter().map(|word| match word {
                Message::List { call } => Message::List { call: fresh(call) },
                Message::Watch { call } => Message::Watch { call: fresh(call) },
                Message::Lease { board, wish } => Message::Lease { board: fresh(board), wish },
                Message::Open { wire, board, port } => Message::Open { wire: fresh(wire), board, port },
                other => other,
            }));
            let mut bytes = said(&said_so_far);
            bytes.extend(&junk);
            let mut stream = stranger(dir.path()).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
            drop(stream);
            until(|| bench.leased() == 0).await;
            drop(other.lease(&slot(0), "honest").await.unwrap());
        });
    }

    #[test]
    fn whatever_a_lender_says_the_client_ends_with_an_error(
        says_hello in any::<bool>(),
        junk in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        on_a_local_set(async {
            let dir = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(dir.path().join("bench.sock")).unwrap();
            let lender = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                if says_hello {
                    stream.write_all(&said(&[HELLO])).await.unwrap();
                }
                let _ = stream.write_all(&junk).await;
            };
            let client = async {
                let bench = RemoteBench::connect(dir.path()).await?;
                let mut events = bench.watch();
                let leased = bench.lease(&slot(0), "x").await.map(drop);
                while events.next().await.is_some() {}
                leased.and(bench.list().await.map(drop))
            };
            let ((), result) = futures::join!(lender, client);
            assert!(result.is_err());
        });
    }
}

#[test]
fn what_a_wrong_lender_did_is_told() {
    let newer = Message::Hello(Version { major: 9, minor: 0 });
    let bye = |reason: &str| Message::Bye {
        reason: reason.into(),
    };
    let cases = [
        (
            said(&[newer]),
            "it speaks version 9 of the bench protocol, this program version 1",
        ),
        (said(&[bye("no more boards today")]), "no more boards today"),
        (
            said(&[HELLO, bye("no more boards today")]),
            "no more boards today",
        ),
        (
            said(&[HELLO, Message::List { call: 1 }]),
            "a lender may not say that",
        ),
        (
            said(&[HELLO, Message::Leased { board: 1 }]),
            "it answers something else",
        ),
        (
            said(&[HELLO, Message::Credit { wire: 77, bytes: 1 }]),
            "it speaks of what nobody asked for",
        ),
        (b"SSH-2.0-Nobody\r\n".to_vec(), "it does not greet"),
    ];
    for (words, expected) in cases {
        on_a_local_set(async {
            let dir = tempfile::tempdir().unwrap();
            let listener = UnixListener::bind(dir.path().join("bench.sock")).unwrap();
            let lender = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut greeting = [0; 15];
                stream.read_exact(&mut greeting).await.unwrap();
                // After a greeting it waits until something is asked.
                let now = if words.starts_with(&said(&[HELLO])) {
                    greeting.len()
                } else {
                    words.len()
                };
                stream.write_all(&words[..now]).await.unwrap();
                if now < words.len() {
                    stream.read_exact(&mut [0; 7]).await.unwrap();
                    stream.write_all(&words[now..]).await.unwrap();
                }
                stream
            };
            let client = async {
                let bench = RemoteBench::connect(dir.path()).await?;
                bench.list().await.map(drop)
            };
            let (_stream, result) = futures::join!(lender, client);
            assert_eq!(
                result,
                Err(LinkError::Foreign {
                    reason: expected.into()
                })
            );
        });
    }
}
