//! Without a permit there is nothing to call it with.
use lineside_device::Verified;
use lineside_terms::ManufacturingState;

async fn lock(device: &mut Verified) {
    let _ = device.finalize(ManufacturingState::DeviceComplete).await;
}

fn main() {}
