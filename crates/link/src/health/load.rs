//! What hangs at each USB controller that leads to boards.

use std::collections::BTreeMap;

use super::Finding;

/// A USB device as far as it matters for what a controller can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Load {
    /// The bus that it hangs at, as people know it.
    pub(super) bus: String,
    /// It is an interface board.
    pub(super) is_board: bool,
    /// Endpoints of what it is set up as, the one for control included; `None` when it does not tell.
    pub(super) endpoints: Option<usize>,
    /// What it asks for at most, in milliamperes; `None` when it does not tell.
    pub(super) milliamps: Option<u32>,
}

/// One finding for each bus with boards. How many endpoints a controller serves nobody tells: the number is for whoever
/// knows the controller.
pub(super) fn findings(devices: &[Load]) -> Vec<Finding> {
    let mut of_bus: BTreeMap<&str, Vec<&Load>> = BTreeMap::new();
    for device in devices {
        of_bus.entry(&device.bus).or_default().push(device);
    }
    let told = of_bus.into_iter().filter_map(|(bus, here)| {
        let boards = here.iter().filter(|device| device.is_board).count();
        let endpoints: usize = here.iter().filter_map(|device| device.endpoints).sum();
        let milliamps: u32 = here.iter().filter_map(|device| device.milliamps).sum();
        let is_silent = |device: &&&Load| device.endpoints.is_none() || device.milliamps.is_none();
        let rest = match here.iter().filter(is_silent).count() {
            0 => String::new(),
            silent => format!(", not counting {silent} that cannot be asked"),
        };
        let found = format!(
            "USB bus {bus} carries {boards} boards among {} devices, {endpoints} endpoints, {milliamps} mA at most{rest}",
            here.len()
        );
        (boards > 0).then(|| Finding::good("usb-controller", found))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_count_at_their_own_controller_and_silent_ones_are_told() {
        let device = |bus: &str, is_board, told: Option<(usize, u32)>| Load {
            bus: bus.to_owned(),
            is_board,
            endpoints: told.map(|(endpoints, _)| endpoints),
            milliamps: told.map(|(_, milliamps)| milliamps),
        };
        let told = findings(&[
            device("PCIROOT(0)#PCI(1400)", true, Some((9, 500))),
            device("PCIROOT(0)#PCI(1400)", true, Some((9, 500))),
            device("PCIROOT(0)#PCI(1400)", false, None),
            device("PCIROOT(0)#PCI(1D00)", true, Some((9, 500))),
            device("PCIROOT(0)#PCI(1D01)", false, Some((2, 100))),
        ]);
        let told: Vec<_> = told.iter().map(|finding| finding.found.as_str()).collect();
        assert_eq!(
            told,
            [
                "USB bus PCIROOT(0)#PCI(1400) carries 2 boards among 3 devices, 18 endpoints, 1000 mA at most, not \
                 counting 1 that cannot be asked",
                "USB bus PCIROOT(0)#PCI(1D00) carries 1 boards among 1 devices, 9 endpoints, 500 mA at most",
            ]
        );
    }
}
