//! Whether Windows suspends USB ports that it takes for idle ("selective suspend").
//!
//! Names and numbers are those that Microsoft tells of its power plans and of its USB driver; they were tried under Wine
//! only, with values that were written there by hand.

use windows_registry::{Key, LOCAL_MACHINE};

use super::{Finding, Severity};

const TOPIC: &str = "usb-suspend";
/// Settings of the USB driver for all plans: a value other than zero turns suspending off everywhere.
const DRIVER: (&str, &str) = (
    r"SYSTEM\CurrentControlSet\Services\USB",
    "DisableSelectiveSuspend",
);
/// The plans, with the id of the one that counts.
const PLANS: &str = r"SYSTEM\CurrentControlSet\Control\Power\User\PowerSchemes";
const ACTIVE: &str = "ActivePowerScheme";
/// Where a setting is that no plan changed, for each plan.
const DEFAULTS: &str = r"SYSTEM\CurrentControlSet\Control\Power\PowerSettings";
/// "USB settings" and in it "USB selective suspend setting"; 0 is off, 1 is on.
const SETTING: &str = r"2a737441-1930-4402-8d77-b2bebba308a3\48e6b7a6-50f5-4782-a5d4-53bb8f07e226";
/// On mains: a factory PC has no battery that counts.
const ON_MAINS: &str = "ACSettingIndex";

/// What the registry says.
pub(super) fn finding() -> Finding {
    judge(off_everywhere(), of_the_plan())
}

fn number(path: &str, name: &str) -> Option<u32> {
    let key: Key = LOCAL_MACHINE.open(path).ok()?;
    key.get_u32(name).ok()
}

fn off_everywhere() -> bool {
    number(DRIVER.0, DRIVER.1).is_some_and(|value| value != 0)
}

fn of_the_plan() -> Option<u32> {
    let active = LOCAL_MACHINE.open(PLANS).ok()?.get_string(ACTIVE).ok()?;
    number(&format!(r"{PLANS}\{active}\{SETTING}"), ON_MAINS).or_else(|| {
        number(
            &format!(r"{DEFAULTS}\{SETTING}\DefaultPowerSchemeValues\{active}"),
            ON_MAINS,
        )
    })
}

fn judge(is_off_everywhere: bool, of_the_plan: Option<u32>) -> Finding {
    const REMEDY: &str =
        "Turn selective suspend of USB off in the power plan: a suspended port loses its board.";
    match (is_off_everywhere, of_the_plan) {
        (true, _) => Finding::good(TOPIC, "Windows suspends no USB ports: its USB driver may not"),
        (false, Some(0)) => Finding::good(TOPIC, "Windows suspends no USB ports in its power plan"),
        (false, Some(_)) => Finding::bad(
            Severity::Warning,
            TOPIC,
            "Windows suspends USB ports that it takes for idle",
            REMEDY,
        ),
        (false, None) => Finding::bad(
            Severity::Note,
            TOPIC,
            "Windows does not tell whether it suspends USB ports",
            REMEDY,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plan_that_suspends_is_warned_of() {
        let severity = |off, plan| judge(off, plan).severity;
        assert_eq!(severity(false, Some(1)), Severity::Warning);
        assert_eq!(severity(false, Some(0)), Severity::Good);
        assert_eq!(severity(true, Some(1)), Severity::Good);
        assert_eq!(severity(true, None), Severity::Good);
        assert_eq!(severity(false, None), Severity::Note);
    }
}
