//! What is assumed of the recovery protocol, because no public source tells it. Ids are those of the register in
//! `chip-to-pc-and-recovery.md` section 10.

use std::time::Duration;

/// **A-09** (`chip-to-pc-and-recovery.md` 5.1): so often the ROM says that it waits for a file, until it is reset.
pub const ROM_ASKS_EVERY: Duration = Duration::from_millis(1400);

/// **A-10** (`chip-to-pc-and-recovery.md` 5.1): what the ROM says to a file that it refuses, without the line end; then
/// it asks again.
pub const BAD: &str = "+BAD";

/// **A-11** (`chip-to-pc-and-recovery.md` 5.2): a device takes blocks of 1024 bytes as well as of 128. Only the latter
/// were seen, so only they are sent unless somebody asks for more.
pub const TAKES_1K: bool = true;

/// **A-12** (`chip-to-pc-and-recovery.md` 5.2): a block or its answer is waited for so long.
pub const BLOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// **A-12**: the longest pause between two bytes of one block.
pub const BYTE_TIMEOUT: Duration = Duration::from_secs(1);

/// **A-12**: so often a block is sent or asked for again before the transfer is given up.
pub const BLOCK_RETRIES: u32 = 10;

/// **A-13** (`chip-to-pc-and-recovery.md` 5.4): a device repeats a message that is not answered after this time.
pub const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// **A-14** (`chip-to-pc-and-recovery.md` 5.5): ProgressUpdate holds four numbers of four bytes: images remaining, images
/// in all, bytes remaining, bytes in all.
pub const PROGRESS_SIZE: usize = 16;

/// **A-15** (`chip-to-pc-and-recovery.md` 5.5): LogEntry holds text in UTF-8, without an end.
pub fn log_text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// **A-16** (`chip-to-pc-and-recovery.md` 5.5): RecoveryError holds one number of four bytes.
pub const ERROR_SIZE: usize = 4;

/// **A-17** (`chip-to-pc-and-recovery.md` 5.5): RecoveryComplete holds nothing.
pub const COMPLETE_SIZE: usize = 0;

/// **A-18** (`chip-to-pc-and-recovery.md` 5.5): StatusBusy holds nothing; the device asks again later.
pub const BUSY_SIZE: usize = 0;

/// **A-20** (`chip-to-pc-and-recovery.md` 5.5): AbortRecovery holds nothing.
pub const ABORT_SIZE: usize = 0;

/// **A-19** (`chip-to-pc-and-recovery.md` 5.5): the number in ImageRequestError for a file that is not there.
pub const NOT_FOUND: u32 = 1;

/// **A-19**: the number for a file that the device has no business with.
pub const UNAUTHORIZED: u32 = 2;

/// **A-21** (`chip-to-pc-and-recovery.md` 5.5): events that were named and never seen, by their numbers: the runtime was
/// received, the runtime was loaded, the manifest was processed, the recovery is complete.
pub const UNSEEN_EVENTS: [u8; 4] = [4, 5, 10, 11];

/// **A-22** (`chip-to-pc-and-recovery.md` 5.6): an image is asked for in pieces of so many bytes.
pub const PIECE: u32 = 20_480;

/// **A-23** (`chip-to-pc-and-recovery.md` 5.6): after it was told to switch its speed a device waits so long.
pub const SWITCH_AFTER: Duration = Duration::from_millis(50);

/// **A-23**: then it asks whether the host is there, so often, for so long.
pub const SWITCH_ASKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// **A-24** (`chip-to-pc-and-recovery.md` 5.7): a host waits so long for the ROM's first word.
pub const FIRST_WORD: Duration = Duration::from_secs(30);

/// **A-24**: the longest silence between two messages.
pub const IDLE: Duration = Duration::from_secs(60);

/// **A-24**: the longest silence while flash is erased.
pub const ERASE: Duration = Duration::from_secs(120);
