//! Sessions that need a bench: the command as people and programs use it, mostly against `lineside sim` in a process of
//! its own. Each story begins on a floor of its own (a folder with the sample plan), so they run side by side.
//!
//! Nothing here waits for time: [`command::until`] asks again until something is so, and gives up loudly.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod command;
mod floor;
mod image;
mod image_set;
mod sim;

mod approvals;
mod bad_input;
mod bridge;
mod bundles;
mod continuous;
mod device;
mod devices;
mod doctor;
mod evidence;
mod interruption;
mod output;
mod page;
mod paths;
mod process_list;
mod ready_check;
mod records;
mod recover;
mod refusals;
mod resume;
mod scripts;
mod sharing;
mod slots;
mod tray;
mod trouble;
mod update_os;
mod verbs;
