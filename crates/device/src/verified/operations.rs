//! What a verified device can be asked and told, one method for each operation that the line needs.
//!
//! Each is documented with its effect as `protocol`'s table has it: *reads* changes nothing, *repeatable* may simply be
//! done again after a crash, *look first* must not. All fail with [`DeviceError`]; a write that fails may have been done.

use bytes::Bytes;
use lineside_interlock::{EpochCause, Look};
use lineside_protocol::rest::application::AppStatus;
use lineside_protocol::rest::application::{ControlRequest, MemoryStats, Quota, Trigger};
use lineside_protocol::rest::certificate::{AddCertRequest, Cert, CertList, CertSpace};
use lineside_protocol::rest::device::{Capabilities, Manufacturing};
use lineside_protocol::rest::image::{AppControlMode, Images, InstallRequest};
use lineside_protocol::rest::network::{
    ChangeInterfaceRequest, Interface, Interfaces, NetStatus, Proxy, Rulesets,
};
use lineside_protocol::rest::status::{AbiVersions, Done, OsVersion, Restarting, Status};
use lineside_protocol::rest::wifi::{
    AddNetworkRequest, ChangeNetworkRequest, ChangeWifiInterfaceRequest, Diagnosis, Diagnostics, Network,
    Networks, Scan, WifiInterface,
};
use lineside_protocol::rest::{Operation, json};
use lineside_terms::{Capability, ComponentId, ManufacturingState, SecurityState};

use super::{Leave, Verified, body_of};
use crate::channel::ProgressCell;
use crate::error::DeviceError;

type Answered<T> = Result<T, DeviceError>;

/// A method for a read without an item.
macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident = $operation:ident -> $answer:ty;)*) => {
        impl Verified {
            $($(#[$doc])*
            ///
            /// Effect: reads.
            ///
            /// # Errors
            /// As every request: see [`DeviceError`].
            pub async fn $name(&mut self) -> Answered<$answer> {
                self.call(Operation::$operation, None, Bytes::new()).await
            })*
        }
    };
}

reads! {
    /// Seconds since the device started.
    status = GetStatus -> Status;
    /// Version of the operating system; OS older than 22.09 has no such call (see [`DeviceError::is_not_available`]).
    os_version = GetOsVersion -> OsVersion;
    /// Runtime versions that images may ask for.
    abi_versions = GetAbiVersions -> AbiVersions;
    /// All installed components; refused once the device is complete.
    images = GetImages -> Images;
    /// Readiness of authentication, time and proxy.
    net_status = GetNetStatus -> NetStatus;
    /// All network interfaces.
    net_interfaces = GetInterfaces -> Interfaces;
    /// Firewall rules.
    firewall = GetFirewall -> Rulesets;
    /// The proxy, all `None` when there is none.
    proxy = GetProxy -> Proxy;
    /// Ids of the stored certificates.
    certificates = GetCerts -> CertList;
    /// Free room in the certificate store.
    certificate_space = GetCertSpace -> CertSpace;
    /// Configured Wi-Fi networks; fails while the interface is down.
    wifi_networks = GetWifiNetworks -> Networks;
    /// State of the Wi-Fi interface.
    wifi_interface = GetWifiInterface -> WifiInterface;
    /// Wi-Fi networks in reach.
    wifi_scan = GetWifiScan -> Scan;
    /// Why Wi-Fi networks do not connect.
    wifi_diagnostics = GetWifiDiagnostics -> Diagnostics;
    /// Memory that applications use; needs appDevelopment.
    memory = GetMemoryStats -> MemoryStats;
}

impl Verified {
    /// Security state, read anew, with a check that the same device still answers.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// [`DeviceError::IdChanged`] when another id comes back, or as every request.
    pub async fn security_state(&mut self) -> Answered<SecurityState> {
        let security = self.read_identity().await?;
        if security.device_identifier != self.id {
            return Err(DeviceError::id_changed(self.id, security.device_identifier));
        }
        self.security = security.security_state;
        Ok(self.security)
    }

    /// Capabilities in force, but not what a state implies by itself (`device-rest-api.md` 2.3).
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn capabilities(&mut self) -> Answered<Vec<Capability>> {
        let answer: Capabilities = self.call(Operation::GetCapabilities, None, Bytes::new()).await?;
        Ok(answer.device_capabilities)
    }

    /// Manufacturing state.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn manufacturing_state(&mut self) -> Answered<ManufacturingState> {
        let answer: Manufacturing = self
            .call(Operation::GetManufacturingState, None, Bytes::new())
            .await?;
        Ok(answer.manufacturing_state)
    }

    /// A look at the manufacturing state, as the interlock wants it. `cause` is why the present epoch began.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn look(&mut self, cause: EpochCause) -> Answered<Look> {
        let state = self.manufacturing_state().await?;
        Ok(Look {
            device: self.id,
            epoch: self.epoch,
            cause,
            state,
            taken_at: self.clock().now(),
        })
    }

    /// Sends an image package to be staged. Nothing installed changes. `progress` shows how far it has come.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request; the device checks package and signature.
    pub async fn stage(&mut self, package: Bytes, progress: Option<ProgressCell>) -> Answered<()> {
        let operation = Operation::Stage;
        let answer = self
            .exchange(operation, None, package, progress, Leave::Harmless)
            .await?;
        json::read_answer::<Done>(operation, &answer.body)?;
        Ok(())
    }

    /// Installs what is staged, and starts applications or not. When the answer says that the device restarts, this
    /// connection is over.
    ///
    /// Effect: look first.
    ///
    /// # Errors
    /// As every request.
    pub async fn install(&mut self, mode: AppControlMode) -> Answered<Restarting> {
        let body = body_of(&InstallRequest {
            app_control_mode: mode,
        });
        let answer = self.call(Operation::Install, None, body).await?;
        Ok(self.heed(answer))
    }

    /// Deletes an installed component; deleting one that is not there succeeds. When the answer says that the device
    /// restarts, this connection is over.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn delete_image(&mut self, component: ComponentId) -> Answered<Restarting> {
        let answer = self
            .call(Operation::DeleteImage, Some(&component.to_string()), Bytes::new())
            .await?;
        Ok(self.heed(answer))
    }

    /// Restarts the device. This connection is over with the answer.
    ///
    /// Effect: look first (the uptime tells whether it was done).
    ///
    /// # Errors
    /// As every request.
    pub async fn restart(&mut self) -> Answered<()> {
        let _: Restarting = self.call(Operation::Restart, None, Bytes::new()).await?;
        self.restarts();
        Ok(())
    }

    /// Whether an application runs.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn app_status(&mut self, component: ComponentId) -> Answered<AppStatus> {
        self.call(
            Operation::GetAppStatus,
            Some(&component.to_string()),
            Bytes::new(),
        )
        .await
    }

    /// Starts, stops or debugs an application; needs appDevelopment.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn control_app(&mut self, component: ComponentId, trigger: Trigger) -> Answered<AppStatus> {
        self.call(
            Operation::ControlApp,
            Some(&component.to_string()),
            body_of(&ControlRequest { trigger }),
        )
        .await
    }

    /// Mutable storage of an application.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn app_quota(&mut self, component: ComponentId) -> Answered<Quota> {
        self.call(Operation::GetAppQuota, Some(&component.to_string()), Bytes::new())
            .await
    }

    /// One network interface.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn net_interface(&mut self, name: &str) -> Answered<Interface> {
        self.call(Operation::GetInterface, Some(name), Bytes::new()).await
    }

    /// Brings an interface up or down, or sets its hardware address.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn change_net_interface(
        &mut self,
        name: &str,
        change: &ChangeInterfaceRequest,
    ) -> Answered<()> {
        let _: Done = self
            .call(Operation::ChangeInterface, Some(name), body_of(change))
            .await?;
        Ok(())
    }

    /// Sets the proxy.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn set_proxy(&mut self, proxy: &Proxy) -> Answered<()> {
        let _: Proxy = self.call(Operation::SetProxy, None, body_of(proxy)).await?;
        Ok(())
    }

    /// Removes the proxy; succeeds without one too.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn delete_proxy(&mut self) -> Answered<()> {
        let _: Done = self.call(Operation::DeleteProxy, None, Bytes::new()).await?;
        Ok(())
    }

    /// One stored certificate.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn certificate(&mut self, id: &str) -> Answered<Cert> {
        self.call(Operation::GetCert, Some(id), Bytes::new()).await
    }

    /// Stores a certificate, in place of an earlier one with this id.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn add_certificate(&mut self, id: &str, certificate: &AddCertRequest) -> Answered<()> {
        let _: Done = self
            .call(Operation::AddCert, Some(id), body_of(certificate))
            .await?;
        Ok(())
    }

    /// Deletes a stored certificate; one that is not there is refused.
    ///
    /// Effect: look first.
    ///
    /// # Errors
    /// As every request.
    pub async fn delete_certificate(&mut self, id: &str) -> Answered<()> {
        let _: Done = self.call(Operation::DeleteCert, Some(id), Bytes::new()).await?;
        Ok(())
    }

    /// Adds a Wi-Fi network and returns it with its number.
    ///
    /// Effect: look first (a second one is a duplicate).
    ///
    /// # Errors
    /// As every request.
    pub async fn wifi_add(&mut self, network: &AddNetworkRequest) -> Answered<Network> {
        self.call(Operation::AddWifiNetwork, None, body_of(network)).await
    }

    /// One configured Wi-Fi network.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn wifi_network(&mut self, id: i32) -> Answered<Network> {
        self.call(Operation::GetWifiNetwork, Some(&id.to_string()), Bytes::new())
            .await
    }

    /// Changes a Wi-Fi network.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn wifi_change(&mut self, id: i32, change: &ChangeNetworkRequest) -> Answered<Network> {
        self.call(
            Operation::ChangeWifiNetwork,
            Some(&id.to_string()),
            body_of(change),
        )
        .await
    }

    /// Deletes a Wi-Fi network. Numbers are given out anew: be sure that the network still has this one.
    ///
    /// Effect: look first.
    ///
    /// # Errors
    /// As every request.
    pub async fn wifi_delete(&mut self, id: i32) -> Answered<()> {
        let _: Done = self
            .call(Operation::DeleteWifiNetwork, Some(&id.to_string()), Bytes::new())
            .await?;
        Ok(())
    }

    /// Why one Wi-Fi network does not connect.
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn wifi_diagnosis(&mut self, id: i32) -> Answered<Diagnosis> {
        self.call(
            Operation::GetWifiNetworkDiagnostics,
            Some(&id.to_string()),
            Bytes::new(),
        )
        .await
    }

    /// Reloads the Wi-Fi configuration, or switches power savings.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn change_wifi_interface(&mut self, change: &ChangeWifiInterfaceRequest) -> Answered<()> {
        let _: Done = self
            .call(Operation::ChangeWifiInterface, None, body_of(change))
            .await?;
        Ok(())
    }

    /// The device's log, raw (`device-rest-api.md` 3.7).
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn log(&mut self) -> Answered<Vec<u8>> {
        Ok(self
            .exchange(Operation::GetLog, None, Bytes::new(), None, Leave::Harmless)
            .await?
            .body)
    }

    /// Error report data, raw (`device-rest-api.md` 3.7).
    ///
    /// Effect: reads.
    ///
    /// # Errors
    /// As every request.
    pub async fn telemetry(&mut self) -> Answered<Vec<u8>> {
        Ok(self
            .exchange(Operation::GetTelemetry, None, Bytes::new(), None, Leave::Harmless)
            .await?
            .body)
    }

    /// Discards error report data.
    ///
    /// Effect: repeatable.
    ///
    /// # Errors
    /// As every request.
    pub async fn clear_telemetry(&mut self) -> Answered<()> {
        let _: Done = self.call(Operation::ClearTelemetry, None, Bytes::new()).await?;
        Ok(())
    }

    /// Takes the connection for over when the device restarts.
    fn heed(&mut self, answer: Restarting) -> Restarting {
        if answer.is_restarting {
            self.restarts();
        }
        answer
    }
}
