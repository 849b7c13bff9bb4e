//! The program `azsphere`; everything is in the library of this crate.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = arguments.next().unwrap_or_default();
    let tokens: Vec<String> = arguments.collect();
    lineside_azsphere::run(&program, &tokens).into()
}
