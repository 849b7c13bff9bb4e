//! Runs every fuzz target of `fuzz/fuzz_targets` as a plain test on a stable toolchain: first the kept corpus
//! `fuzz/corpus/NAME/`, then inputs that are mutated from it, always the same ones. It finds what was found once and
//! what lies at hand; the search itself is the job of `cargo fuzz`.
//!
//! `LINESIDE_FUZZ_INPUTS` sets how many mutated inputs each target gets.
#![forbid(unsafe_code)]

// A target says `use libfuzzer_sys::fuzz_target`; here that is us.
#[cfg(test)]
extern crate self as libfuzzer_sys;

#[cfg(test)]
mod mutate;
#[cfg(test)]
mod replay;

#[cfg(test)]
#[expect(clippy::items_after_test_module, reason = "the macro comes last, see there")]
mod targets {
    include!(concat!(env!("OUT_DIR"), "/targets.rs"));
}

/// Stands in for the macro of `libfuzzer-sys`: the target becomes a function. It comes last, so that targets reach it
/// by its path, as they do the real one.
#[macro_export]
macro_rules! fuzz_target {
    (|$bytes:ident: &[u8]| $body:expr) => {
        pub(crate) fn target($bytes: &[u8]) {
            $body
        }
    };
}
