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
