//! Neither can the one below it.
use lineside_device::Verified;
use lineside_protocol::rest::Operation;

async fn lock(device: &mut Verified) {
    let _ = device.exchange(Operation::SetManufacturingState, None, Default::default(), None).await;
}

fn main() {}
