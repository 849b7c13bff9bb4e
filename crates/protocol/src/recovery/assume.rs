//! What is assumed of the recovery protocol, because no public source tells it. Ids are those of the register in
//! `chip-to-pc-and-recovery.md` section 10.

use std::time::Duration;

/// **A-08** (`chip-to-pc-and-recovery.md` 4.4): so often a recovery that failed before anything was erased is begun anew.
/// After the erase it is never done silently.
pub const RETRIES: u32 = 1;

/// **A-09** (`chip-to-pc-and-recovery.md` 5.1): so often the ROM says that it waits for a file, until it is reset.
pub const ROM_ASKS_EVERY: Duration = Duration::from_millis(1400);

/// **A-09**: what tells of a usual boot may be left over from before the reset, so the ROM is waited for so long after it:
/// twice the time between two of its requests.
pub const ROM_SPEAKS_WITHIN: Duration = Duration::from_millis(2 * 1400);

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

/// **A-24**: a whole recovery takes no longer, in this order at high and at low speed.
pub const TOTAL: [Duration; 2] = [Duration::from_secs(600), Duration::from_secs(1800)];

/// **A-23**: a host that has heard nothing at the new speed goes back to the old one after this time: a little before
/// the device does, which then tells things that it does not repeat.
pub const SWITCH_GIVEN_UP: Duration = Duration::from_millis(4500);

/// **A-23**: a device that asks so often at the new speed does not hear the answers there.
pub const SWITCH_UNHEARD: u32 = 10;

/// **A-23**: a device that asks for the switch once more than this does not manage it, and is told to stay.
pub const SWITCH_TRIES: u32 = 2;

/// **A-13**: after a transfer that failed, what the device says about it comes within this time: several repetitions.
pub const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// **A-21**: when the device has said that it is complete, the message that ends a recovery follows within this time. It
/// is not repeated, so its loss is not held against the device.
pub const COMPLETE_WITHIN: Duration = Duration::from_secs(5);

/// **A-09**: between two requests of the ROM the line is silent for at least so long; a request behind such a silence
/// is one wherever it stands.
pub const ROM_SILENCE: Duration = Duration::from_millis(500);

/// **A-10**: the ROM that has refused a file asks again. So many requests mean that, even when its word was not heard.
pub const ROM_ASKS_AGAIN: u32 = 2;

/// **A-25** (`chip-to-pc-and-recovery.md` 5.10): the manufacturing state survives a recovery, because it is in fuses.
pub const STATE_SURVIVES: bool = true;

/// **A-29** (`chip-to-pc-and-recovery.md` 4; what the vendor's devices do is not told): a device whose manufacturing is
/// complete refuses recovery with UnauthorizedAccess (39.151) when it has no capability for it, before the erase.
pub const COMPLETE_REFUSES: bool = true;

/// **A-13**: a device that gets no answer for so long gives up (39.50). Who it is it tells for ever.
pub const DEVICE_PATIENCE: Duration = Duration::from_secs(30);

/// **A-10**: the ROM takes a bootloader of at most so many bytes; the only one that was seen has a quarter of that.
pub const LONGEST_BOOTLOADER: usize = 65_536;

/// **A-22**: the longest capability file, recovery application and manifest that a device takes, in bytes (39.10).
pub const LONGEST_FILES: [u32; 3] = [16_384, 1_048_576, 65_536];
