//! The command over a bench that another process could lend: what it does to devices, and what it does not. The judge is
//! the simulated bench itself.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod packages;
mod recovery;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::mpsc::channel;

use lineside_link::remote::Lending;
use lineside_link::{Bench as _, Clock};
use lineside_simulator::{Fault, What, When, World, WorldConfig};
use lineside_terms::ManufacturingState;
use tempfile::TempDir;

/// The folder of an application that answers nothing and runs.
const MANIFEST: &str = r#"{
  "SchemaVersion": 1,
  "Name": "Blink",
  "ComponentId": "25025d2c-66da-4448-bae1-ac26fcdd3627",
  "EntryPoint": "/bin/app",
  "CmdArgs": [],
  "Capabilities": {},
  "ApplicationType": "Default"
}"#;

const COMPONENT: &str = "25025d2c-66da-4448-bae1-ac26fcdd3627";

/// A bench with its folder, and the station's.
struct Floor {
    world: World,
    folder: TempDir,
    /// The boards are lent until it is dropped.
    _end: tokio::sync::oneshot::Sender<()>,
}

/// What a command came to.
struct Came {
    exit: i32,
    out: String,
    err: String,
}

impl Came {
    #[track_caller]
    fn good(self) -> String {
        assert_eq!((self.exit, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    #[track_caller]
    fn fails(self, exit: i32, said: &[&str]) -> Self {
        assert_eq!(self.exit, exit, "{}{}", self.out, self.err);
        for words in said {
            assert!(self.err.contains(words), "{words}: {}", self.err);
        }
        self
    }
}

impl Floor {
    fn with(config: WorldConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(config, Clock::precise()).unwrap();
        let life = world.run();
        std::thread::spawn(move || match futures::executor::block_on(life) {});
        fs::write(folder.path().join("ca.pem"), world.ca_pem()).unwrap();
        fs::write(
            folder.path().join("key.pem"),
            world.supplies().signing_pem().unwrap(),
        )
        .unwrap();
        fs::write(folder.path().join("azsphere.toml"), "signing-key = 'key.pem'\n").unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = channel();
        let (dir, bench) = (folder.path().to_owned(), world.bench());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, async {
                let lending = Lending::bind(&dir).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    () = lending.serve(Rc::new(bench)) => {}
                    _ = ended => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            world,
            folder,
            _end: end,
        }
    }

    fn of(boards: usize) -> Self {
        Self::with(WorldConfig {
            boards,
            state: ManufacturingState::Module1Complete,
            ..WorldConfig::default()
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn id(&self, board: usize) -> String {
        let id = self.world.with_chip(board, |chip| chip.firmware().id()).unwrap();
        id.to_string().to_uppercase()
    }

    fn state(&self, board: usize) -> ManufacturingState {
        self.world
            .with_chip(board, |chip| chip.firmware().state())
            .unwrap()
    }

    fn writes(&self, board: usize) -> u64 {
        let writes = |chip: &lineside_simulator::Chip| chip.firmware().counters().writes;
        self.world.with_chip(board, writes).unwrap()
    }

    fn fault(&self, when: When, what: What) {
        self.world
            .add_fault(&Fault {
                board: Some(0),
                when,
                what,
            })
            .unwrap();
    }

    fn run(&self, profile: &str, line: &str) -> Came {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_azsphere"))
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env("AZSPHERE_PROFILE", profile)
            .env("LINESIDE_DATA", self.path())
            .env("LINESIDE_BENCH", format!("at:{}", self.path().display()))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
        Came {
            exit: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Makes the package of an application with the command itself.
    fn pack(&self) {
        let folder = self.path().join("app/bin");
        fs::create_dir_all(&folder).unwrap();
        fs::write(self.path().join("app/app_manifest.json"), MANIFEST).unwrap();
        fs::write(folder.join("app"), b"\x7fELF, so to say").unwrap();
        self.run(
            "g2",
            "image-package pack-application --package-directory app --destination a.imagepackage",
        )
        .good();
    }
}

fn asked(operation: &str) -> When {
    When::Request {
        operation: operation.to_owned(),
        nth: 1,
        times: 1,
    }
}

#[test]
fn an_application_is_packed_loaded_looked_at_and_deleted() {
    let floor = Floor::of(1);
    floor.pack();
    let shown = floor.run("g1", "pkg show -f a.imagepackage").good();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[3].contains("Component ID") && lines[4].contains("Image ID") && lines[9].contains("Image Name")
    );
    let deployed = floor
        .run("g1", "dev sl deploy --ImagePackage a.imagepackage")
        .good();
    assert_eq!(
        deployed,
        "Deploying 'a.imagepackage' to the attached device.\nImage package 'a.imagepackage' has been deployed to the \
         attached device.\n"
    );
    let listed = floor.run("g2", "device image list-installed").good();
    assert!(listed.starts_with("Installed images:\n --> Blink\n   --> Image type:   Application\n"));
    let query = floor.run(
        "g3",
        "sphere device image list-installed --query [].componentId -o tsv",
    );
    assert_eq!(query.good(), format!("{COMPONENT}\n"));
    let status = floor.run("g2", "device app show-status").good();
    assert_eq!(status, format!("{COMPONENT}: App state: running\n"));
    let stopping = floor.run(
        "g2",
        "device app stop --component-id 25025d2c-66da-4448-bae1-ac26fcdd3627",
    );
    stopping.fails(
        1,
        &["ERROR: Could not stop component '25025d2c-66da-4448-bae1-ac26fcdd3627': Device error"],
    );
    let kept = floor
        .run("g1", &format!("device sideload delete -e {COMPONENT}"))
        .good();
    assert_eq!(kept, "No components to delete.\n");
    let deleted = floor.run("g2", "device sideload delete").good();
    assert_eq!(deleted, format!("Component '{COMPONENT}' deleted.\n"));
    assert_eq!(
        floor.run("g2", "device image list-installed").good(),
        "No installed images.\n"
    );
}

#[test]
fn a_device_is_named_by_id_address_or_path_and_must_be_when_there_are_several() {
    let floor = Floor::of(3);
    let several = floor.run("g2", "device show-attached");
    several.fails(
        1,
        &[
            "ERROR: 3 devices are attached and none is named.",
            "station.which-board",
        ],
    );
    let id = floor.id(1);
    let slot = floor.world.slot(1).unwrap().to_string();
    let answer = format!("Device ID: {id}\nIP address: 192.168.35.3\nConnection path: {slot}\n");
    for (profile, named) in [
        ("g2", format!("--device {id}")),
        ("g2", format!("-d {}", id.to_lowercase())),
        ("g2", "--device 192.168.35.3".to_owned()),
        ("g2", format!("--device {slot}")),
        ("g1", "-ip 192.168.35.3".to_owned()),
        ("g1", format!("--deviceLocation {slot}")),
    ] {
        let came = floor.run(profile, &format!("device show-attached {named}"));
        assert_eq!(came.good(), answer, "{profile} {named}");
    }
    let loud = floor.run("g2", &format!("device show-attached --device {slot} --verbose"));
    assert_eq!(
        loud.err,
        format!("WARNING: The device with IP '192.168.35.3' is selected from parameter '{slot}'\n")
    );
    let id = id.replace(&id[..1], if id.starts_with('0') { "1" } else { "0" });
    for named in [id.as_str(), "192.168.35.77", "9999"] {
        let came = floor.run("g2", &format!("device restart --device {named}"));
        came.fails(1, &["device.no-such-device"]);
    }
    assert_eq!((0..3).map(|board| floor.writes(board)).sum::<u64>(), 0);
    // A slot keeps its address; alone, a board is at the first one, too.
    floor.world.unplug(0).unwrap();
    floor.world.unplug(2).unwrap();
    for named in ["192.168.35.2", "192.168.35.3"] {
        let alone = floor.run("g1", &format!("device show-attached -ip {named}"));
        assert!(alone.good().contains("\nIP address: 192.168.35.2\n"));
    }
    fs::write(floor.path().join("addresses.toml"), "=").unwrap();
    let came = floor.run("g2", "device show-attached --device 192.168.35.2");
    came.fails(1, &["slots.addresses", "remedy: Remove the file"]);
    floor.run("g2", "device show-attached").good();
}

#[test]
fn a_state_is_not_changed_unless_the_policy_says_so() {
    let floor = Floor::of(1);
    for profile in ["g1-2019", "g1", "g2", "g3"] {
        let came = floor.run(
            profile,
            "device manufacturing-state update --state DeviceComplete",
        );
        came.fails(1, &["device.manual-refused", "remedy: Let a plan do it"]);
    }
    assert_eq!(floor.state(0), ManufacturingState::Module1Complete);
    assert_eq!(floor.writes(0), 0);
    assert_eq!(
        floor
            .run(
                "g2",
                "device manufacturing-state show --query manufacturingState -o tsv"
            )
            .good(),
        "Module1Complete\n"
    );
}

/// Under `vendor` as the vendor's tool does it, but through the station's door: with a banner, once, and in the records.
#[test]
fn a_state_is_changed_as_the_vendors_tool_does_where_the_policy_says_vendor() {
    let floor = Floor::of(2);
    let policy = "[by-hand]\nmanufacturing-state = \"vendor\"\n";
    fs::write(floor.path().join("station.toml"), policy).unwrap();
    let line = "device manufacturing-state update --state DeviceComplete";
    floor.run("g2", line).fails(1, &[]);
    let protected = floor.path().join("protected.txt");
    fs::write(&protected, format!("{} golden\n", floor.id(0))).unwrap();
    floor
        .run("g2", &format!("{line} -d 1113"))
        .fails(1, &["interlock.protected"]);
    fs::remove_file(protected).unwrap();
    assert_eq!((floor.writes(0), floor.writes(1)), (0, 0));
    let came = floor.run("g2", &format!("{line} -d 1113 -o json"));
    assert_eq!(came.exit, 0, "{}{}", came.out, came.err);
    assert!(came.err.contains("NO READY CHECK"), "{}", came.err);
    let told: serde_json::Value = serde_json::from_str(&came.out).unwrap();
    assert_eq!(told["manufacturingState"], "DeviceComplete");
    assert_eq!(floor.state(0), ManufacturingState::DeviceComplete);
    assert_eq!((floor.writes(0), floor.writes(1)), (1, 0));
    // Again: it is so already, and nothing is sent.
    assert_eq!(floor.run("g3", &format!("{line} --device 1113")).exit, 0);
    floor.run(
        "g3",
        "device manufacturing-state update --state Module1Complete --device 1113",
    );
    assert_eq!((floor.writes(0), floor.writes(1)), (1, 0));
    assert!(floor.path().join("journal").is_dir());
}

#[test]
fn what_is_written_is_noted_down_for_the_records_and_what_is_read_is_not() {
    let floor = Floor::of(1);
    floor.run("g2", "device wifi list").good();
    assert!(!floor.path().join("hand").exists());
    floor.run("g2", "device wifi add -s line -p 12345678").good();
    let notes: Vec<_> = fs::read_dir(floor.path().join("hand")).unwrap().collect();
    let [Ok(note)] = &notes[..] else {
        panic!("{notes:?}")
    };
    let text = fs::read_to_string(note.path()).unwrap();
    assert!(
        text.contains("azsphere device wifi add") && text.contains("done"),
        "{text}"
    );
    assert!(!text.contains("12345678"), "{text}");
}

#[test]
fn a_protected_device_is_only_read() {
    let floor = Floor::of(1);
    fs::write(
        floor.path().join("protected.txt"),
        format!("{} golden\n", floor.id(0).to_lowercase()),
    )
    .unwrap();
    for line in [
        "device restart",
        "device wifi add -s line -p 12345678",
        "device sideload delete",
    ] {
        floor.run("g2", line).fails(1, &["interlock.protected"]);
    }
    floor.run("g2", "device wifi list").good();
    assert_eq!(floor.writes(0), 0);
}

#[test]
fn a_device_that_goes_in_the_middle_fails_the_command() {
    let floor = Floor::of(1);
    floor.pack();
    floor.fault(
        asked("PUT /update/stage"),
        What::Unplug {
            replug_after_ms: None,
        },
    );
    let came = floor.run("g2", "device sideload deploy --image-package a.imagepackage");
    came.fails(1, &["ERROR: Could not deploy application to device: "]);
    let listed = floor.run("g2", "device list-attached").good();
    assert_eq!(listed, "No attached devices\n");
    floor
        .run("g1-2019", "device show-attached")
        .fails(2, &["error: Could not connect to the device.\n"]);
    floor
        .run("g2", "device show-attached")
        .fails(1, &["ERROR: The device is not responding."]);
}

#[test]
fn what_the_device_refuses_is_told_with_its_number() {
    let floor = Floor::of(1);
    floor.pack();
    floor.fault(
        asked("POST /update/install"),
        What::Refuse {
            status: 403,
            code: (7 << 20) | 24,
        },
    );
    let came = floor.run("g1", "device sideload deploy -p a.imagepackage");
    let came = came.fails(
        1,
        &["error: Could not deploy application to device: Device error 7.24.\n"],
    );
    // Wrappers of that time read errors on standard output.
    assert_eq!(came.out, came.err);
}

#[test]
fn networks_come_and_go() {
    let floor = Floor::of(1);
    let added = floor.run("g1", "device wifi add --ssid line --key 12345678");
    added.fails(1, &["taken by: g1-2019."]);
    let added = floor
        .run("g1-2019", "device wifi add --ssid line --key 12345678")
        .good();
    assert!(
        added.starts_with("Add network succeeded:\nID                  : 0\nSSID                : line\n")
    );
    let text = floor.run("g2", "device wifi disable --id 0").good();
    assert!(text.contains("Configuration state : disabled\n"), "{text}");
    let json = floor.run("g3", "device wifi list --query [0].ssid").good();
    assert_eq!(json, "\"line\"\n");
    assert_eq!(
        floor.run("g2", "device wifi forget -i 0").good(),
        "Successfully removed network\n"
    );
    floor
        .run("g2", "device wifi show -i 0")
        .fails(3, &["ERROR: Device error 13.3.\n"]);
    assert_eq!(floor.run("g2", "device wifi list -o json").good(), "[]\n");
    // What is no secret to the caller is none of ours to repeat.
    let short = floor.run("g2", "device wifi add -s line -p secret");
    let short = short.fails(2, &["The pre-shared key has 6 bytes"]);
    assert!(!short.err.contains("secret") && !short.out.contains("secret"));
}

#[test]
fn a_capability_goes_to_the_device_that_it_was_made_for_and_to_no_other() {
    let floor = Floor::of(2);
    floor.pack();
    let device = floor.world.with_chip(0, |chip| chip.firmware().id()).unwrap();
    let rights = [lineside_terms::Capability::APP_DEVELOPMENT];
    let file = floor.world.supplies().capability_file(device, &rights).unwrap();
    fs::write(floor.path().join("a.cap"), file).unwrap();
    for address in ["192.168.35.2", "192.168.35.3"] {
        let line = format!("device sideload deploy -p a.imagepackage --device {address}");
        floor.run("g2", &line).good();
    }
    let stop = |address: &str| floor.run("g2", &format!("device app stop -d {address}"));
    stop("192.168.35.2").fails(1, &["device.http-403"]);
    floor
        .run("g2", "device capability select --capability-file a.cap")
        .good();
    assert_eq!(
        stop("192.168.35.2").good(),
        format!("{COMPONENT}: App state: stopped\n")
    );
    stop("192.168.35.3").fails(1, &["device.http-403"]);
    floor.run("g2", "device capability select --none").good();
    stop("192.168.35.2").fails(1, &["device.http-403"]);
}

#[test]
fn a_board_that_somebody_has_leased_is_refused_with_who() {
    let floor = Floor::of(1);
    let slot = floor.world.slot(0).unwrap().clone();
    let bench = floor.world.bench();
    let lease = futures::executor::block_on(bench.lease(&slot, "lineside run thermostat")).unwrap();
    let came = floor.run("g2", "device show-os-version");
    came.fails(1, &["in use by lineside run thermostat", "link.leased"]);
    let listed = floor.run("g2", "device list-attached").good();
    assert!(listed.contains("  --> Is responsive: no\n"), "{listed}");
    drop(lease);
    floor.run("g2", "device show-os-version").good();
}

#[test]
fn as_one_of_many_it_only_reads() {
    let floor = Floor::of(2);
    let each = |slot: &str, line: &str| {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_azsphere"))
            .args(line.split_whitespace())
            .current_dir(floor.path())
            .env("AZSPHERE_PROFILE", "g2")
            .env("LINESIDE_DATA", floor.path())
            .env("LINESIDE_BENCH", format!("at:{}", floor.path().display()))
            .env("LINESIDE_EACH", slot)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    for board in 0..2 {
        let slot = floor.world.slot(board).unwrap().to_string();
        let (exit, out, err) = each(&slot, "device show-attached -o json");
        assert_eq!(exit, 0, "{err}");
        assert!(out.to_uppercase().contains(&floor.id(board)), "{out}");
        for line in [
            "device manufacturing-state update --state DeviceComplete",
            "device recover",
            "device restart",
            "device list-attached",
            "device sideload delete --component-id 25025d2c-66da-4448-bae1-ac26fcdd3627",
            "image-package pack-application --input . --destination-file x.imagepackage",
        ] {
            let (exit, _, err) = each(&slot, line);
            assert_ne!(exit, 0, "{line}");
            assert!(
                err.contains("all boards at once") || err.contains("error"),
                "{line}: {err}"
            );
        }
        assert_eq!(floor.writes(board), 0);
    }
    let (exit, _, err) = each("1113", "device show-attached --device 192.168.35.2");
    assert_ne!(exit, 0);
    assert!(err.contains("all of them are meant"), "{err}");
    assert!(!floor.path().join("x.imagepackage").exists());
}
