//! The method that any operation goes through cannot be reached from outside.
use lineside_device::Verified;
use lineside_protocol::rest::Operation;

async fn lock(device: &mut Verified) {
    let _ = device.call::<()>(Operation::SetManufacturingState, None, Default::default()).await;
}

fn main() {}
