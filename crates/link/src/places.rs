//! Folders of this user on this computer.

use std::path::PathBuf;

/// Where records go unless somebody says otherwise: `lineside-data` in the current folder; on Windows
/// `%LOCALAPPDATA%\Lineside\data`, because programs there are started in folders that are not theirs to write to.
pub fn data_folder() -> PathBuf {
    #[cfg(windows)]
    if let Some(folder) = own_folder() {
        return folder.join("data");
    }
    PathBuf::from("lineside-data")
}

/// The folder of this program in the part of this user's profile that stays on this computer. Windows lets nobody
/// else than this user, the system and administrators read there.
#[cfg(windows)]
pub(crate) fn own_folder() -> Option<PathBuf> {
    let profile = PathBuf::from(std::env::var_os("LOCALAPPDATA")?);
    profile.is_absolute().then(|| profile.join("Lineside"))
}

/// Where a bridge lends its boards unless somebody says otherwise, and where programs look for one: a folder of this user
/// that is gone when the computer starts again, or of the whole system for its service. Programs look into the user's
/// first.
pub fn bridge_folder(of: Whose) -> Option<PathBuf> {
    match of {
        #[cfg(windows)]
        Whose::User => own_folder().map(|folder| folder.join("bridge")),
        #[cfg(windows)]
        Whose::System => {
            std::env::var_os("ProgramData").map(|folder| PathBuf::from(folder).join("Lineside\\bridge"))
        }
        #[cfg(not(windows))]
        Whose::User => {
            let folder = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
            folder.is_absolute().then(|| folder.join("lineside/bridge"))
        }
        #[cfg(not(windows))]
        Whose::System => Some(PathBuf::from("/run/lineside/bridge")),
    }
}

/// Whose folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This user's.
    User,
    /// That of the system's service.
    System,
}

/// Where scripts for the vendor's SDK look for it (`azsphere-cli.md` 2); on Windows a folder of this user, because nobody
/// else than an administrator writes into theirs.
pub fn sdk_folder() -> PathBuf {
    #[cfg(windows)]
    if let Some(folder) = own_folder() {
        return folder.join("azurespheresdk");
    }
    PathBuf::from("/opt/azurespheresdk")
}

/// Where the administrator of this computer says what the station may do. Users may read it; on a computer that is set up
/// well they cannot write it.
pub fn station_file() -> PathBuf {
    #[cfg(windows)]
    let folder = PathBuf::from(std::env::var_os("ProgramData").unwrap_or_else(|| "C:\\ProgramData".into()))
        .join("Lineside");
    #[cfg(not(windows))]
    let folder = PathBuf::from("/etc/lineside");
    folder.join("station.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_where_this_system_keeps_such_things() {
        let folder = data_folder();
        if cfg!(windows) {
            assert!(
                folder.is_absolute() && folder.ends_with("Lineside\\data"),
                "{folder:?}"
            );
        } else {
            assert_eq!(folder, PathBuf::from("lineside-data"));
        }
    }
}
