//! What `image-package.md` marks as open or inferred and this crate has to take a side on. Each item carries the number
//! of the reference's list of open questions (section 14) or the section that says it; nothing of the kind stands
//! anywhere else in this crate.

/// 14 #4: a capability slot is a `u16`, and there are 64 of them (section 7 gives the reasons).
pub(crate) const CAPABILITY_SLOTS: usize = 64;

/// Sections 7 and 13: the list is said to end at the first 0, yet a capability in slot 40 is to be found. A reader that
/// skips zero slots sees everything that any reading of the format could grant, so that is what this one does.
pub(crate) const ZERO_SLOT_ENDS_LIST: bool = false;

/// 14 #6: keystore keys are X‖Y big-endian, as device ids are. Were they little-endian, the point test would tell.
pub(crate) const KEYSTORE_KEY_IS_BIG_ENDIAN: bool = true;

/// Section 9.1: the last four bytes of a keystore entry's header "give key size and thumbprint size"; taken as two
/// `u16`, so these are their values.
pub(crate) const KEYSTORE_SIZES: (u16, u16) = (64, 20);

/// 14 #8: a real-time application needs no ABI-depends section and gets no `TargetApplicationRuntimeVersion`. Reading
/// accepts both; packing writes neither.
pub(crate) const REAL_TIME_NAMES_RUNTIME: bool = false;

/// 14 #9: a file whose length is an exact multiple of a page gets no extra empty page.
pub(crate) const EXTRA_PAGE_AFTER_FULL_PAGE: bool = false;

/// Section 9.3: which end of `mt3620an.json` is the newest. The vendor's gallery script takes the last version as the
/// current one, so file order is taken as release order.
pub(crate) const NEWEST_OS_STANDS_LAST: bool = true;

/// Section 12 names no error number for a manifest whose Name or ComponentId is missing or wrong, nor for the Boolean
/// capabilities without an own number: the device's number for bad JSON stands in.
pub(crate) const UNNUMBERED_MANIFEST_ERROR: u16 = 1;

/// Section 6.1: flags a reader accepts. Bit 2 (capabilities) is known to the loader and does not move anything; the
/// flags 0x200, 0x400 and 0x800 mean another layout or a wrong signature and are refused.
pub(crate) const FILESYSTEM_FLAGS_ACCEPTED: u32 = 0x7;

/// Section 6.5 tells that names of peripherals are replaced by what a hardware definition says, and not what such a file
/// looks like. These are the names in the files that boards' makers publish.
pub(crate) mod hardware {
    /// A file's list of other files.
    pub(crate) const IMPORTS: &str = "Imports";
    /// One of those.
    pub(crate) const PATH: &str = "Path";
    /// A file's list of peripherals.
    pub(crate) const PERIPHERALS: &str = "Peripherals";
    /// What a peripheral is called.
    pub(crate) const NAME: &str = "Name";
    /// The peripheral of an imported file that it is.
    pub(crate) const MAPPING: &str = "Mapping";
    /// What stands for it in a manifest.
    pub(crate) const VALUE: &str = "AppManifestValue";
    /// The member of a manifest in which names are replaced.
    pub(crate) const CAPABILITIES: &str = "Capabilities";
    /// The capabilities that are lists of peripherals.
    pub(crate) const OF_PERIPHERALS: [&str; 6] = ["Gpio", "Uart", "I2cMaster", "SpiMaster", "Pwm", "Adc"];
}
