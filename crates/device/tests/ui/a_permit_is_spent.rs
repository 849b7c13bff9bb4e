//! A permit is good for one attempt.
use lineside_device::Verified;
use lineside_interlock::Permit;

async fn twice(device: &mut Verified, permit: Permit) {
    let _ = device.finalize(permit).await;
    let _ = device.finalize(permit).await;
}

fn main() {}
