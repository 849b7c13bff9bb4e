//! `lineside bridge`: foreign programs and ours reach the same boards, and who is in the way is told.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use serde_json::Value;

use crate::command::{Done, Lineside, Running, is_foreign, until};
use crate::floor::{Floor, SERIALS};
use crate::sim::Sim;

/// A datagram that is not answered for so long is sent again.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(300);

const BRIDGE: &str = "bridge --bench at:bench --dir bridge --data d --service-port 0 --json";

/// A bridge that is ready, and what it said of each board.
#[track_caller]
fn start(floor: &Floor, words: &str) -> (Running, Vec<Value>) {
    let mut running = floor.start(words);
    let mut boards = Vec::new();
    let is_ready = running.hears(|line| {
        // What is for people goes to the other stream.
        let Ok(object) = serde_json::from_str::<Value>(line) else {
            return false;
        };
        let is_ready = object["kind"] == "bridge-ready";
        if object["kind"] == "bridge-board" {
            boards.push(object);
        }
        is_ready
    });
    assert!(is_ready, "{:?}", running.done());
    (running, boards)
}

fn door(board: &Value, port: u64) -> SocketAddr {
    let doors = board["doors"].as_array().unwrap();
    let door = doors.iter().find(|door| door["port"] == port).unwrap();
    door["at"].as_str().unwrap().parse().unwrap()
}

/// Somebody else's HTTP and TLS.
#[track_caller]
fn curl(at: SocketAddr) -> String {
    let done = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--insecure",
            "--noproxy",
            "*",
            "--max-time",
            "60",
        ])
        .arg(format!("https://{at}/device/security_state"))
        .output()
        .expect("curl is there: .ci/test installs it");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// The application of the sample takes datagrams and sends them back, as simulated applications do.
#[test]
fn datagrams_reach_applications_and_no_other_board() {
    let floor = Floor::new();
    let _sim = Sim::start_with(&floor, 2, "--development");
    floor.run("sim make-key --out key.pem").exits(0);
    std::fs::create_dir_all(floor.at("application/bin")).unwrap();
    floor.write("application/bin/app", b"\x7fELF and so on");
    floor.write(
        "application/app_manifest.json",
        r#"{"SchemaVersion":1,"Name":"lamp","ComponentId":"11111111-2222-3333-4444-555555555555","EntryPoint":"/bin/app",
            "CmdArgs":[],"Capabilities":{"AllowedUdpServerPorts":[2390]},"ApplicationType":"Default"}"#,
    );
    floor
        .run("image pack application --key key.pem --out lamp.imagepackage")
        .exits(0);
    let (bridge, boards) = start(&floor, &format!("{BRIDGE} --udp-port 2390 --udp-port 2391"));
    let slot = boards[0]["slot"].as_str().unwrap();
    floor
        .run(&format!(
            "device sideload deploy lamp.imagepackage --slot {slot} --bench at:bridge --data d"
        ))
        .exits(0);
    until("the bridge has the board again", || {
        let listed = floor
            .run("devices --bench at:bridge --data d --json")
            .exits(0)
            .objects();
        listed
            .iter()
            .all(|board| board["device"].is_string())
            .then_some(())
    });
    let program = UdpSocket::bind("127.0.0.1:0").unwrap();
    program.set_read_timeout(Some(AGAIN)).unwrap();
    let mut answer = [0; 2000];
    let mut asked = |at: SocketAddr, bytes: &[u8]| {
        program.send_to(bytes, at).unwrap();
        let (count, from) = program.recv_from(&mut answer).ok()?;
        // What was sent twice may be answered twice.
        (from == at && answer[..count] == *bytes).then(|| answer[..count].to_vec())
    };
    // Datagrams may be lost, such as those before the application listens.
    let at = door(&boards[0], 2390);
    let came = until("a datagram comes back", || asked(at, b"lamp on"));
    assert_eq!(came, b"lamp on");
    let longest = vec![7; 1472];
    assert_eq!(until("the longest comes back", || asked(at, &longest)), longest);
    assert_eq!(asked(at, &[7; 1473]), None, "it fits into no packet");
    // Nobody listens there, and answers come from where it was asked.
    assert_eq!(asked(door(&boards[0], 2391), b"lamp on"), None);
    assert_eq!(asked(door(&boards[1], 2390), b"lamp on"), None);
    bridge.terminate();
    bridge.done().exits(0);
}

#[test]
fn foreign_programs_and_ours_reach_the_same_boards() {
    let floor = Floor::new();
    let sim = Sim::start(&floor, 2);
    let (bridge, boards) = start(&floor, BRIDGE);
    assert_eq!(boards.len(), 2, "{boards:?}");
    let devices = floor
        .run("devices --bench at:bridge --data d --json")
        .exits(0)
        .objects();
    for board in &boards {
        let device = board["device"].as_str().unwrap();
        assert!(curl(door(board, 443)).contains(device));
        let same = devices
            .iter()
            .find(|device| device["slot"] == board["slot"])
            .unwrap();
        assert_eq!(
            (&same["device"], &same["ip"]),
            (&board["device"], &board["address"])
        );
    }
    // A whole run goes through it, and leaves the boards to others again.
    let plan = floor.short_plan();
    floor
        .run(&format!(
            "run {plan} --bench at:bridge --data d --serials {SERIALS} --expect 2"
        ))
        .exits(0);
    for (number, board) in boards.iter().enumerate() {
        sim.assert_locked_once(number);
        let device = board["device"].as_str().unwrap().to_owned();
        until("the board is free again", || {
            let done = Command::new("curl")
                .args(["--silent", "--insecure", "--noproxy", "*", "--max-time", "60"])
                .arg(format!("https://{}/device/security_state", door(board, 443)))
                .output()
                .unwrap();
            String::from_utf8_lossy(&done.stdout)
                .contains(&device)
                .then_some(())
        });
    }
    bridge.terminate();
    bridge.done().exits(0);
    assert!(
        !floor.at("bridge/ca.pem").exists(),
        "it takes away what it laid down"
    );
}

/// The OS of one board is written anew while a foreign program uses another.
#[test]
fn a_board_is_recovered_while_the_bridge_runs() {
    let floor = Floor::new();
    floor.run("sim make-image-set --size small --out set").exits(0);
    let sim = Sim::start_with(&floor, 2, "--os-profile 22.09");
    let (bridge, boards) = start(&floor, BRIDGE);
    let slot = boards[0]["slot"].as_str().unwrap();
    let used = TcpStream::connect(door(&boards[1], 443)).unwrap();
    floor
        .run(&format!(
            "recover --images set --slot {slot} --bench at:bridge --data d"
        ))
        .exits(0);
    assert_eq!((sim.count(0, "recoveries"), sim.count(1, "erases")), (1, 0));
    assert!(curl(door(&boards[1], 443)).contains(boards[1]["device"].as_str().unwrap()));
    drop(used);
    until("the bridge has the board again", || {
        let listed = floor
            .run("devices --bench at:bridge --data d --json")
            .exits(0)
            .objects();
        let found = listed.iter().find(|board| board["slot"] == slot);
        found.is_some_and(|board| board["os"] == "24.06").then_some(())
    });
    bridge.terminate();
    bridge.done().exits(0);
}

#[test]
fn who_is_in_the_way_is_told() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 1);
    let (_bridge, boards) = start(&floor, BRIDGE);
    let again = floor.run(BRIDGE).fails(3, "link.bench-taken");
    assert!(
        again.stdout.contains("process ") || again.stderr.contains("process "),
        "{again:?}"
    );

    // Another program has the board: a command says so.
    let program = TcpStream::connect(door(&boards[0], 443)).unwrap();
    until("it is carried", || {
        let devices = floor.run("devices --bench at:bridge --data d --json").objects();
        (devices[0]["error"]["code"] == "link.leased").then_some(())
    });
    drop(program);

    // A command has it: another program is cut off.
    let mut waiting = floor.start(&format!(
        "run {} --bench at:bridge --data e --serials {SERIALS} --expect 2 --json",
        floor.short_plan()
    ));
    assert!(waiting.says("run-started"));
    let mut program = TcpStream::connect(door(&boards[0], 443)).unwrap();
    assert!(program.read(&mut [0; 1]).is_err(), "it is reset");
    waiting.kill();
}

#[test]
fn what_cannot_be_had_is_refused_with_a_remedy() {
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 1);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let (bridge, boards) = start(&floor, &format!("{BRIDGE} --base-port {port}"));
    assert_eq!(boards[0]["error"]["code"], "bridge.port-taken", "{boards:?}");
    assert_eq!(boards[0]["doors"].as_array().unwrap().len(), 0);
    bridge.terminate();
    bridge.done().exits(0);
    floor
        .run(&format!("{BRIDGE} --addresses --base-port 4000"))
        .exits(2);
    floor
        .run(&format!(
            "bridge --bench at:bench --dir bridge --data d --service-port {port}"
        ))
        .fails(3, "bridge.service-taken");
    floor
        .run("bridge --bench at:nowhere --dir bridge")
        .fails(3, "link.no-bench");
}

/// Runs a shell script in a network of its own, in which `"$0"` is `lineside`.
#[cfg(target_os = "linux")]
fn in_own_network(floor: &Floor, script: &str) -> Done {
    // Root may make a network namespace; others may inside of a user namespace, where the system allows that.
    let is_root = Command::new("unshare").args(["-n", "true"]).output();
    let is_root = is_root
        .expect("`unshare` of util-linux is there")
        .status
        .success();
    let way = if is_root { "-n" } else { "-rn" };
    floor.write("own.sh", format!("set -e\nip link set lo up\n{script}"));
    Lineside::script(floor.path(), &format!(r#"exec unshare {way} sh own.sh "$0""#)).done()
}

/// Starts a bridge in a script, waits until it is ready, and gives its number.
#[cfg(target_os = "linux")]
const START: &str = r#"
lineside=$1
mkfifo said
"$lineside" bridge --bench at:bench --dir bridge --data d --addresses > said 2> notes &
bridge=$!
read -r word < said
test "$word" = ready
"#;

#[test]
#[cfg(target_os = "linux")]
fn each_board_has_its_own_address() {
    // Addresses of this system are not Wine's to give.
    if is_foreign() {
        return;
    }
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 2);
    let ask = "curl --silent --show-error --insecure --max-time 60 https://192.168.35";
    let done = in_own_network(
        &floor,
        &format!(
            r#"{START}
{ask}.2/device/security_state > two
{ask}.3/device/security_state > three
echo | openssl s_client -connect 192.168.35.3:443 > tls 2>&1 || true
ip -4 -o address show to 192.168.35.0/24 > during
kill -TERM $bridge
wait $bridge
ip -4 -o address show to 192.168.35.0/24 > after
"#
        ),
    );
    let done = done.exits(0);
    let read = |name: &str| std::fs::read_to_string(floor.at(name)).unwrap();
    let devices = floor
        .run("devices --bench at:bench --json --data d")
        .exits(0)
        .objects();
    for (device, name) in devices.iter().zip(["two", "three"]) {
        let id = device["device"].as_str().unwrap();
        assert!(read(name).contains(id), "{done:?}");
    }
    assert!(read("tls").contains("BEGIN CERTIFICATE"), "{}", read("tls"));
    assert_eq!(read("during").lines().count(), 2, "{}", read("during"));
    assert_eq!(read("after"), "", "it gives its addresses back");
}

#[test]
#[cfg(target_os = "linux")]
fn addresses_that_cannot_be_had_are_refused_and_leftovers_are_taken_away() {
    // Addresses of this system are not Wine's to give.
    if is_foreign() {
        return;
    }
    let floor = Floor::new();
    let _sim = Sim::start(&floor, 1);
    let bridge = r#""$1" bridge --bench at:bench --dir bridge --data d --addresses"#;
    let foreign = in_own_network(
        &floor,
        &format!(
            "ip link add vpn type veth peer name far\nip link set vpn up\nip route add 192.168.35.0/24 dev vpn\n{bridge}"
        ),
    );
    let foreign = foreign.fails(3, "link.address-foreign");
    assert!(foreign.stderr.contains("dev vpn"), "{foreign:?}");
    let other = in_own_network(
        &floor,
        &format!("ip address add 192.168.35.2/24 dev lo\n{bridge}"),
    );
    other.fails(3, "link.address-foreign");
    let unable = in_own_network(
        &floor,
        &format!("exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin {bridge}"),
    );
    unable.fails(3, "link.address-right");
    // A bridge that was killed leaves its addresses behind; the next one takes them over.
    let done = in_own_network(
        &floor,
        &format!(
            r#"{START}
kill -KILL $bridge
wait $bridge || true
rm said
{START}
curl --silent --show-error --insecure --max-time 60 https://192.168.35.2/device/security_state > two
kill -TERM $bridge
wait $bridge
ip -4 -o address show to 192.168.35.0/24 > after
"#
        ),
    );
    done.exits(0);
    assert_eq!(std::fs::read_to_string(floor.at("after")).unwrap(), "");
}

#[test]
#[cfg(target_os = "linux")]
fn the_vendors_client_finds_and_drives_every_device() {
    // Addresses of this system are not Wine's to give.
    if is_foreign() {
        return;
    }
    let floor = Floor::new();
    let _sim = Sim::start_with(&floor, 2, "--development");
    floor.run("sim make-key --out key.pem").exits(0);
    std::fs::create_dir_all(floor.at("application/bin")).unwrap();
    floor.write("application/bin/app", b"\x7fELF and so on");
    let component = "11111111-2222-3333-4444-555555555555";
    floor.write(
        "application/app_manifest.json",
        format!(
            r#"{{"SchemaVersion":1,"Name":"foreign","ComponentId":"{component}","EntryPoint":"/bin/app","CmdArgs":[],
            "Capabilities":{{"MutableStorage":{{"SizeKB":8}}}},"ApplicationType":"Default"}}"#
        ),
    );
    floor
        .run("image pack application --key key.pem --out bench/application.imagepackage")
        .exits(0);
    floor.write("bench/component.txt", component);
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("LINESIDE_PEERS_VENV")
        .map_or_else(|| here.join("../../target/peers-venv"), std::path::PathBuf::from);
    let python = venv.join("bin/python").canonicalize();
    assert!(python.is_ok(), "{} is missing: run .ci/peers", venv.display());
    let (python, script) = (venv.join("bin/python"), here.join("tests/bench/vendor_client.py"));
    let functions = here.join("../device/tests/foreign");
    let done = in_own_network(
        &floor,
        &format!(
            r#"{START}
curl --silent --show-error --fail http://localhost:48938/api/lineside/v1/boards > boards
"{}" "{}" bench "{}" 2
kill -TERM $bridge
wait $bridge
"#,
            python.display(),
            script.display(),
            functions.display()
        ),
    );
    let done = done.exits(0);
    assert!(
        done.stdout.contains("judged 192.168.35.2 192.168.35.3"),
        "{done:?}"
    );
    let boards: Value = serde_json::from_slice(&std::fs::read(floor.at("boards")).unwrap()).unwrap();
    assert_eq!(boards["boards"][1]["standing"], "ready", "{boards}");
}
