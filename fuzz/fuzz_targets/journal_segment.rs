//! Any bytes as the last segment of a journal: they are answered, what is found sound lies within them, and cutting
//! off what was found unfinished leaves a segment that is sound to the same point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lineside_records::inspect;

const NAME: &str = "000000000001.journal";

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = inspect(NAME, bytes) else { return };
    assert!(found.after.sequence >= found.before.sequence);
    let Some(torn) = &found.torn else { return };
    assert_eq!(torn.offset + torn.bytes, bytes.len() as u64);
    assert_eq!(torn.sequence, found.after.sequence + 1);
    let end = usize::try_from(torn.offset).expect("it lies within the bytes");
    let again = inspect(NAME, &bytes[..end]).expect("what was sound stays sound");
    assert_eq!((again.after, again.torn), (found.after, None));
});
