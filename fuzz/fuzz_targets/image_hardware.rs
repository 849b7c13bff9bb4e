//! Any bytes as a hardware definition: what is read keeps its names, and a manifest by it stays JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_image::{HardwareDefinition, HardwareFile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = HardwareFile::parse(bytes) else {
        return;
    };
    let definition = HardwareDefinition::of([&file]).expect("one file was held against itself");
    let manifest = br#"{"Capabilities":{"Gpio":["$A","$SAMPLE_LED",1],"Uart":["ISU0"]}}"#;
    if let Ok(resolved) = definition.resolve(manifest) {
        assert_eq!(definition.resolve(&resolved).as_ref(), Ok(&resolved));
    }
});
