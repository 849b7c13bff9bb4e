//! The channel of a verified connection cannot be taken and used for a request of one's own.
use lineside_device::Verified;

fn take(mut device: Verified) {
    device.session.inner().channel.abort(device.clock().now());
}

fn main() {}
