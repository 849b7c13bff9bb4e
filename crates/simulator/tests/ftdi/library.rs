//! The way of a real program: a library that is loaded at run time, and boards in another process.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use futures::executor::block_on;
use lineside_link::ftdi::d2xx::{D2xxBench, DRIVER, Driver};
use lineside_link::{Bench as _, Clock, Port, read_some};

use crate::living;

/// Where cargo puts the libraries that tests depend on: beside them.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(DRIVER)
}

#[test]
#[ignore = "the other process of the test below"]
fn resets_all_boards() {
    if std::env::var_os("LINESIDE_FTDI").is_none() {
        return;
    }
    // SAFETY: the stand-in keeps the contracts of the driver's functions.
    let driver = unsafe { Driver::load_from(&library()) }.unwrap();
    let clock = Clock::precise();
    let bench = D2xxBench::new(driver, Arc::new(Vec::new), clock.clone());
    block_on(async {
        for info in bench.list().await.unwrap() {
            let mut board = bench.lease(&info.slot, "the other process").await.unwrap();
            let mut console = board.open(Port::Recovery).unwrap();
            lineside_link::reset(board.as_mut(), &clock).await.unwrap();
            let mut text = Vec::new();
            while !text.ends_with(b"HLOS core\r\n") {
                let mut byte = [0];
                read_some(console.as_mut(), &mut byte).await.unwrap();
                text.push(byte[0]);
            }
            println!("{} was reset", info.slot);
        }
    });
}

#[test]
fn another_process_reaches_the_boards_through_a_loaded_library() {
    let world = living();
    let boots = || [0, 1].map(|board| world.truth(board).unwrap().counters.boots);
    let before = boots();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    lineside_simulator::ftdi::serve(&world, listener).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "library::resets_all_boards",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("LINESIDE_FTDI", address)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(said.matches("was reset").count(), 2, "{said}");
    assert_eq!(boots(), before.map(|boots| boots + 1));
}
