//! The radio: looks for the configured networks and connects to them, one step after the other.

use std::time::Duration;

use lineside_protocol::rest::Secret;
use lineside_protocol::rest::wifi::{ConfigState, WifiSecurity};
use lineside_terms::Instant;

use super::Firmware;
use crate::assume;

/// How often the radio looks again for a network that was not there.
const SCAN_EVERY: Duration = Duration::from_secs(2);

/// What the radio does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Radio {
    /// Nothing to connect to, or not yet looked; looks again then.
    #[default]
    Idle,
    Waiting {
        look_at: Instant,
    },
    /// On the way to a network.
    Associating {
        id: i32,
        done_at: Instant,
    },
    /// Connected, waiting for an address.
    Addressing {
        id: i32,
        done_at: Instant,
    },
    /// Connected with an address.
    Connected {
        id: i32,
    },
}

impl Radio {
    pub(super) fn associated(&self) -> Option<i32> {
        match self {
            Self::Addressing { id, .. } | Self::Connected { id } => Some(*id),
            _ => None,
        }
    }

    pub(super) fn busy_with(&self) -> Option<i32> {
        match self {
            Self::Associating { id, .. } | Self::Addressing { id, .. } | Self::Connected { id } => Some(*id),
            _ => None,
        }
    }
}

impl Firmware {
    pub(super) fn switch_wifi(&mut self, up: bool, now: Instant) {
        self.ram.wifi_is_up = up;
        self.ram.radio = Radio::Idle;
        self.look_around(now);
    }

    pub(super) fn is_associated(&self) -> bool {
        self.ram.radio.associated().is_some()
    }

    /// The address that the access point gave, once it has.
    pub(super) fn wifi_address(&self) -> Option<String> {
        match self.ram.radio {
            Radio::Connected { .. } => Some(format!(
                "10.20.30.{}",
                self.config.seed.branch("dhcp").draws().number() % 200 + 20
            )),
            _ => None,
        }
    }

    pub(super) fn has_internet(&self) -> bool {
        let Radio::Connected { id } = self.ram.radio else {
            return false;
        };
        let network = self.flash.networks.get(&id);
        network
            .and_then(|network| self.config.air.find(&network.ssid))
            .is_some_and(|point| point.has_internet)
    }

    pub(super) fn wifi_mac(&self) -> String {
        let bytes = self.config.seed.branch("wlan0").draws().sixteen();
        // The documentation prefix of RFC 7042, so that no maker's number is used.
        format!("02:00:5e:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2])
    }

    /// Begins to connect when there is something to connect to.
    pub(super) fn look_around(&mut self, now: Instant) {
        if !self.ram.wifi_is_up {
            self.ram.radio = Radio::Idle;
            return;
        }
        if self.ram.radio.busy_with().is_some() {
            return;
        }
        let mut wanted = false;
        for (id, network) in &mut self.flash.networks {
            if network.state != ConfigState::Enabled {
                continue;
            }
            let point = self
                .config
                .air
                .find(&network.ssid)
                .filter(|point| !point.is_hidden || network.targeted_scan);
            let Some(point) = point else {
                network.trouble = Some("NetworkNotFound");
                wanted = true;
                continue;
            };
            let fits = match network.security {
                WifiSecurity::Open => point.psk.is_none(),
                WifiSecurity::Psk => {
                    point.psk.is_some() && point.psk.as_deref() == network.psk.as_ref().map(Secret::reveal)
                }
                // There is no authentication server in this air.
                WifiSecurity::EapTls | WifiSecurity::Unknown => false,
            };
            if fits {
                network.trouble = None;
                let done_at = now + self.config.times.wifi_step;
                self.ram.radio = Radio::Associating { id: *id, done_at };
                return;
            }
            network.trouble = Some(assume::WRONG_KEY);
            network.state = ConfigState::TempDisabled;
        }
        // Somebody may switch an access point on.
        self.ram.radio = if wanted {
            Radio::Waiting {
                look_at: now + SCAN_EVERY,
            }
        } else {
            Radio::Idle
        };
    }

    /// Takes the radio one step on, as often as time allows.
    pub(super) fn tick_radio(&mut self, now: Instant) {
        let step = self.config.times.wifi_step;
        loop {
            match self.ram.radio {
                Radio::Associating { id, done_at } if done_at <= now => {
                    self.ram.radio = Radio::Addressing {
                        id,
                        done_at: done_at + step,
                    };
                }
                Radio::Addressing { id, done_at } if done_at <= now => {
                    self.ram.radio = Radio::Connected { id };
                }
                Radio::Waiting { look_at } if look_at <= now => {
                    self.look_around(now);
                }
                Radio::Idle if self.ram.wifi_is_up && self.has_candidates() => {
                    self.look_around(now);
                    if self.ram.radio == Radio::Idle {
                        break;
                    }
                }
                _ => break,
            }
        }
        // An access point that was switched off is noticed here.
        if let Some(id) = self.ram.radio.associated() {
            let network = self.flash.networks.get(&id);
            if network.is_none_or(|network| self.config.air.find(&network.ssid).is_none()) {
                self.ram.radio = Radio::Idle;
                self.look_around(now);
            }
        }
        self.ram.had_internet |= self.has_internet();
    }

    fn has_candidates(&self) -> bool {
        self.flash
            .networks
            .values()
            .any(|network| network.state == ConfigState::Enabled)
    }

    pub(super) fn radio_wake_at(&self) -> Option<Instant> {
        match self.ram.radio {
            Radio::Waiting { look_at } => Some(look_at),
            Radio::Associating { done_at, .. } | Radio::Addressing { done_at, .. } => Some(done_at),
            Radio::Idle | Radio::Connected { .. } => None,
        }
    }
}
