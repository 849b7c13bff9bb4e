//! Any bytes as a package. What is accepted must hold together, and must be accepted again after it was signed anew.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::{Application, Package, TrustList};

fuzz_target!(|bytes: &[u8]| {
    let package = match Package::parse(bytes) {
        Ok(package) => package,
        Err(error) => {
            assert!((1..=5).contains(&error.image_metadata_error()));
            return;
        }
    };
    let parts = [package.body(), package.raw_metadata(), package.signature()].concat();
    assert_eq!(parts, bytes);
    assert!(!package.sections().is_empty());
    let _ = package.classify(&TrustList::new());
    let _ = (
        package.oddities(),
        package.build().map(|build| build.name().into_owned()),
    );
    if let Ok(application) = Application::open(&package) {
        let _ = application.program();
        for finding in application.findings() {
            assert!(!finding.to_string().is_empty());
        }
    }
});
