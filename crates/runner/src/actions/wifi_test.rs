//! `wifi-test`: the device connects to an access point, and the network is gone again afterwards.
//!
//! Looks first: a network of the same name that an earlier try left is removed before and, unless the plan keeps it,
//! after, whatever happens in between. While the device is connected, every look must say what the plan says about the
//! internet.

use std::time::Duration;

use lineside_flow::Report;
use lineside_flow::plan::{WifiSecurity, WifiTest};
use lineside_protocol::rest::wifi::{
    AddNetworkRequest, ConfigState, ConnectionState, WifiSecurity as OnDevice,
};

use super::{At, Trouble, passed};
use crate::error::UnitFault;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Looks that must agree once the device is connected and has an address.
const STEADY_LOOKS: u32 = 3;

/// The interface that Wi-Fi is (`device-rest-api.md` 3.5).
const INTERFACE: &str = "wlan0";

pub(super) async fn perform(at: &mut At<'_>, test: &WifiTest) -> Result<Report, Trouble> {
    let ssid = test.ssid.to_string();
    remove(at, &ssid).await?;
    at.heed_stop()?;
    let tested = try_network(at, test, &ssid).await;
    // Cleaned up in any case; a connection that is over is cleaned up by the next try, which looks first.
    if !test.keep || tested.is_err() {
        let removed = remove(at, &ssid).await;
        if tested.is_ok() {
            removed?;
        }
    }
    tested
}

/// Removes every configured network of this name.
async fn remove(at: &mut At<'_>, ssid: &str) -> Result<(), Trouble> {
    let device = at.device()?;
    let networks = device.wifi_networks().await?.values;
    for network in networks.iter().filter(|network| network.ssid == ssid) {
        device.wifi_delete(network.id).await?;
    }
    Ok(())
}

async fn try_network(at: &mut At<'_>, test: &WifiTest, ssid: &str) -> Result<Report, Trouble> {
    let psk = at.program.psk(at.step).cloned();
    let until = at.hands.now() + test.connect_timeout.duration();
    let request = AddNetworkRequest {
        ssid: ssid.to_owned(),
        security_state: match test.security {
            WifiSecurity::Open => OnDevice::Open,
            WifiSecurity::Psk => OnDevice::Psk,
        },
        config_state: Some(ConfigState::Enabled),
        config_name: None,
        targeted_scan: None,
        psk,
        client_cert_store_identifier: None,
        root_ca_cert_store_identifier: None,
        client_identity: None,
    };
    let id = at.device()?.wifi_add(&request).await?.id;
    let mut steady = 0;
    loop {
        at.heed_stop()?;
        let device = at.device()?;
        let interface = device.net_interface(INTERFACE).await?;
        if interface.connected_to_internet && !test.expect_internet {
            return Err(UnitFault::WifiInternet { reached: true }.into());
        }
        let network = device.wifi_network(id).await?;
        let is_connected = network.connection_state == ConnectionState::Connected
            && interface.connected_to_network
            && interface.ip_acquired
            && (interface.connected_to_internet == test.expect_internet);
        steady = if is_connected { steady + 1 } else { 0 };
        if steady == STEADY_LOOKS {
            return Ok(passed(format!(
                "connected, {} internet",
                if test.expect_internet { "with" } else { "no" }
            )));
        }
        let is_on_air = interface.connected_to_network && interface.ip_acquired;
        if at.hands.now() >= until {
            let after = test.connect_timeout.duration();
            return Err(match is_on_air && test.expect_internet {
                true => UnitFault::WifiInternet { reached: false }.into(),
                false => UnitFault::WifiNotConnected { after }.into(),
            });
        }
        at.device()?.wait(LOOK).await?;
    }
}
