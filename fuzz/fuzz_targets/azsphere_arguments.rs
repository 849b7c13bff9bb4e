//! Any words as a command line of the azsphere command, in the generation that the first byte chooses: it means a command or
//! is refused, and what is told of a refusal can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    // Longer lines only take longer.
    let tokens: Vec<String> = text.split('\n').take(16).map(str::to_owned).collect();
    let profile = ["g1-2019", "g1", "g2", "g3"][usize::from(first % 4)];
    match lineside_azsphere::understand(profile, &tokens) {
        Ok(command) => assert!(!command.is_empty()),
        Err(told) => assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}"),
    }
});
