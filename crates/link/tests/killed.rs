//! Leases and the right to lend end with the process, however it dies: real processes, really killed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking"
)]

mod toy;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use lineside_link::remote::{Lending, RemoteBench};
use lineside_link::{Bench, LinkError, Port};
use toy::{ToyBench, connect, lend, on_a_local_set, slot, until, way_in};

const DIR: &str = "LINESIDE_TEST_DIR";
const READY: &str = "ready";

/// Runs one of the ignored tests below in a process of its own, until it says that it is ready.
struct Other(Child);

impl Other {
    fn start(test: &str, dir: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn is_ready(&mut self) {
        let output = BufReader::new(self.0.stdout.take().unwrap());
        assert!(
            output.lines().any(|line| line.unwrap().contains(READY)),
            "it ended before"
        );
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dir() -> Option<std::path::PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

#[test]
#[ignore = "the other process of the tests below"]
fn leases_until_killed() {
    let Some(dir) = dir() else { return };
    on_a_local_set(async {
        let bench = connect(&dir).await;
        let mut board = bench.lease(&slot(0), "the doomed one").await.unwrap();
        let _wire = board.open(Port::Service).unwrap();
        println!("{READY}");
        std::future::pending::<()>().await;
    });
}

#[test]
#[ignore = "the other process of the tests below"]
fn lends_until_killed() {
    let Some(dir) = dir() else { return };
    on_a_local_set(async {
        let lending = Lending::bind(&dir).unwrap();
        println!("{READY}");
        lending.serve(Rc::new(ToyBench::new(1, 64))).await;
    });
}

#[test]
fn the_lease_of_a_killed_process_ends_and_until_then_its_holder_is_named() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = ToyBench::new(1, 64);
        let _serving = lend(dir.path(), &bench, false);
        let mut doomed = Other::start("leases_until_killed", dir.path());
        until(|| bench.leased() == 1).await;
        doomed.is_ready();

        let client = connect(dir.path()).await;
        let refused = client.lease(&slot(0), "heir").await.map(drop).unwrap_err();
        assert_eq!(
            refused,
            LinkError::Leased {
                slot: slot(0),
                holder: "the doomed one".into()
            }
        );
        assert_eq!(
            client.list().await.unwrap()[0].leased_by.as_deref(),
            Some("the doomed one")
        );

        doomed.kill();
        until(|| bench.leased() == 0).await;
        drop(client.lease(&slot(0), "heir").await.unwrap());
    });
}

#[test]
fn a_lender_is_replaced_only_after_it_died() {
    on_a_local_set(async {
        let dir = tempfile::tempdir().unwrap();
        let mut doomed = Other::start("lends_until_killed", dir.path());
        doomed.is_ready();
        let expected = LinkError::BenchTaken {
            place: dir.path().display().to_string(),
            holder: format!("process {}", doomed.0.id()),
        };
        assert_eq!(Lending::bind(dir.path()).map(drop), Err(expected));
        let client = connect(dir.path()).await;
        let mut board = client.lease(&slot(0), "test").await.unwrap();

        doomed.kill();
        until(|| board.open(Port::Service).map(drop) == Err(LinkError::Departed)).await;
        assert!(way_in(dir.path()).exists(), "a killed process cannot tidy up");
        let nobody = RemoteBench::connect(dir.path()).await.unwrap_err();
        assert!(matches!(nobody, LinkError::NoBench { .. }), "{nobody:?}");

        let _serving = lend(dir.path(), &ToyBench::new(2, 64), false);
        assert_eq!(connect(dir.path()).await.list().await.unwrap().len(), 2);
    });
}
