use super::*;
use std::process::{Command, Stdio};

/// A computer with USB, as far as a doctor looks at it.
struct Fake {
    root: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/bus/usb/devices")).unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        Self { root }
    }

    fn places(&self) -> Places {
        Places {
            sysfs: self.root.path().join("sys"),
            dev: self.root.path().join("dev"),
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.places().sysfs.join("bus").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    fn device(&self, name: &str, attributes: &[(&str, &str)]) {
        for (attribute, value) in attributes {
            self.write(&format!("usb/devices/{name}/{attribute}"), value);
        }
    }

    /// A board as it should be, whose terminals are `first` to `first + 3`.
    fn plug(&self, name: &str, first: u32) {
        self.device(
            name,
            &[
                ("idVendor", "0403"),
                ("idProduct", "6011"),
                ("manufacturer", "Microsoft"),
                ("product", PRODUCT_STRING),
                ("serial", "AS4F2K1"),
                ("devnum", "7"),
                ("speed", "480"),
                ("bMaxPower", "500mA"),
                ("power/control", "on"),
            ],
        );
        for channel in 0..4 {
            let terminal = format!("ttyUSB{}", first + channel);
            self.device(&format!("{name}:1.{channel}"), &[("bNumEndpoints", "02")]);
            fs::create_dir(
                self.places()
                    .sysfs
                    .join(format!("bus/usb/devices/{name}:1.{channel}/{terminal}")),
            )
            .unwrap();
            self.write(&format!("usb-serial/devices/{terminal}/latency_timer"), "1");
            fs::write(self.places().dev.join(terminal), "").unwrap();
        }
    }

    /// What is found beside what is good.
    fn bad(&self) -> Vec<Finding> {
        let findings = findings(&self.places()).into_iter();
        findings
            .filter(|finding| finding.severity != Severity::Good)
            .collect()
    }

    #[track_caller]
    fn only(&self, severity: Severity, topic: &str, words: &[&str]) {
        let bad = self.bad();
        let [finding] = &bad[..] else { panic!("{bad:#?}") };
        assert_eq!(
            (finding.severity, finding.topic),
            (severity, topic),
            "{finding:?}"
        );
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        for word in words {
            assert!(
                finding.found.contains(word) || remedy.contains(word),
                "no {word}: {finding:?}"
            );
        }
    }
}

fn fake() -> Fake {
    let fake = Fake::new();
    fake.device(
        "usb1",
        &[
            ("idVendor", "1d6b"),
            ("idProduct", "0002"),
            ("bMaxPower", "0mA"),
            ("bmAttributes", "e0"),
        ],
    );
    fake.device("1-0:1.0", &[("bNumEndpoints", "01")]);
    fake.device(
        "1-2",
        &[
            ("idVendor", "05e3"),
            ("idProduct", "0608"),
            ("bMaxPower", "100mA"),
            ("bmAttributes", "e0"),
        ],
    );
    fake.device("1-2:1.0", &[("bNumEndpoints", "01")]);
    fake.plug("1-2.1", 0);
    fake
}

#[test]
fn a_computer_that_is_well_is_told_of_by_its_controllers() {
    let fake = fake();
    assert_eq!(
        findings(&fake.places()),
        [Finding::good(
            "usb-controller",
            "USB bus 1 carries 1 boards among 3 devices, 13 endpoints, 600 mA at most",
        )]
    );
}

#[test]
fn a_computer_without_usb_has_nothing_to_tell() {
    let root = tempfile::tempdir().unwrap();
    let places = Places {
        sysfs: root.path().join("sys"),
        dev: root.path().join("dev"),
    };
    assert_eq!(findings(&places), []);
}

#[test]
fn an_eeprom_that_says_something_else_is_told() {
    let fake = fake();
    fake.device("1-2.1", &[("manufacturer", "FTDI")]);
    fake.only(
        Severity::Warning,
        "eeprom",
        &["slot 1213", "`FTDI`", "`Microsoft`"],
    );
    fake.device("1-2.1", &[("manufacturer", "Microsoft"), ("serial", "")]);
    fake.only(Severity::Warning, "eeprom", &["nothing", "serial number"]);
}

#[test]
fn the_same_chip_under_another_name_is_told() {
    let fake = fake();
    let other = [
        ("idVendor", "0403"),
        ("idProduct", "6011"),
        ("product", "Quad RS232-HS"),
    ];
    fake.device("1-3", &other);
    fake.only(
        Severity::Note,
        "eeprom",
        &["1-3", "Quad RS232-HS", PRODUCT_STRING],
    );
}

#[test]
fn a_board_that_may_be_suspended_or_starved_is_told() {
    let fake = fake();
    fake.device("1-2.1", &[("power/control", "auto")]);
    fake.only(
        Severity::Warning,
        "usb-suspend",
        &["slot 1213", "1-2.1/power/control"],
    );
    fake.device("1-2.1", &[("power/control", "on"), ("speed", "12")]);
    fake.only(Severity::Warning, "usb-speed", &["12 Mbit/s"]);
    fake.device("1-2.1", &[("speed", "480")]);
    fake.device("1-2", &[("bmAttributes", "80")]);
    fake.only(Severity::Warning, "usb-power", &["500 mA", "100 mA"]);
}

#[test]
fn a_slow_latency_timer_matters_only_to_those_who_may_not_set_it() {
    let fake = fake();
    fake.write("usb-serial/devices/ttyUSB3/latency_timer", "16");
    let timer = fake
        .places()
        .sysfs
        .join("bus/usb-serial/devices/ttyUSB3/latency_timer");
    assert_eq!(fake.bad(), [], "it can be set");
    let mut permissions = fs::metadata(&timer).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&timer, permissions).unwrap();
    if access(&timer, Access::WRITE_OK).is_err() {
        fake.only(
            Severity::Warning,
            "latency",
            &["slot 1213", "16 ms", "packaging/udev"],
        );
    } else {
        assert_eq!(fake.bad(), [], "root may do everything");
    }
}

#[test]
fn sockets_with_one_connection_path_are_a_problem() {
    let fake = fake();
    fake.plug("1-2.2", 4);
    assert_eq!(fake.bad(), []);
    // No two names in sysfs are known that share a path: this one is made up.
    let mut boards = sysfs::boards(&fake.places()).unwrap();
    boards[1].name = "1-9".into();
    boards[1].slot = boards[0].slot.clone();
    let told = places_of(&boards);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].severity, told[0].topic), (Severity::Problem, "location"));
    assert!(told[0].found.contains("1-2.1 and 1-9"), "{told:?}");
}

#[test]
fn a_program_that_reads_along_is_told() {
    let fake = fake();
    let port = fs::File::open(fake.places().dev.join("ttyUSB2")).unwrap();
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(port)
        .spawn()
        .unwrap();
    fake.only(
        Severity::Warning,
        "in-use",
        &["cat", &child.id().to_string(), "ttyUSB2", "slot 1213"],
    );
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(fake.bad(), []);
}

#[test]
fn what_a_controller_has_to_do_is_told_and_not_judged() {
    let fake = fake();
    for board in 2..15 {
        fake.plug(&format!("1-2.{board}"), 4 * board);
    }
    // Fourteen boards with four pairs of endpoints and one for control each.
    assert_eq!(fake.bad(), []);
    let told = findings(&fake.places());
    let told = told.iter().find(|finding| finding.topic == "usb-controller");
    let told = &told.unwrap().found;
    for words in ["14 boards", "16 devices", "130 endpoints", "7100 mA"] {
        assert!(told.contains(words), "no {words}: {told}");
    }
}

#[test]
fn the_kernel_says_whether_its_clock_is_kept() {
    assert!(clock_is_kept().is_some());
}
