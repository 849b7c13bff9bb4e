//! What a measurement must satisfy.

use lineside_terms::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{Name, Unit};

/// One measurement that a functional test asks for, and its limits. At least one limit is set, both are finite, and
/// `min` is not above `max`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "LimitKeys", rename_all = "kebab-case")]
#[schemars(!try_from, deny_unknown_fields)]
pub struct Limit {
    /// What is measured, as the test application names it.
    pub name: Name,
    /// Its unit, as the test application names it. Another unit is an error: nothing is converted.
    pub unit: Unit,
    /// The smallest value that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest value that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// How close to a limit is *marginal*, as a fraction of the width between both limits, from 0 to 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marginal: Option<f64>,
}

/// A limit as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LimitKeys {
    name: Name,
    unit: Unit,
    min: Option<f64>,
    max: Option<f64>,
    marginal: Option<f64>,
}

impl TryFrom<LimitKeys> for Limit {
    type Error = &'static str;
    fn try_from(keys: LimitKeys) -> Result<Self, &'static str> {
        let LimitKeys {
            name,
            unit,
            min,
            max,
            marginal,
        } = keys;
        if [min, max, marginal]
            .into_iter()
            .flatten()
            .any(|value| !value.is_finite())
        {
            return Err("limits are finite numbers");
        }
        match (min, max) {
            (None, None) => return Err("a measurement needs `min`, `max` or both, else nothing is judged"),
            (Some(min), Some(max)) if min > max => return Err("`min` is above `max`: nothing could pass"),
            (Some(min), Some(max)) if !(max - min).is_finite() => {
                return Err("`min` and `max` are too far apart");
            }
            _ => {}
        }
        if marginal.is_some() && (min.is_none() || max.is_none()) {
            return Err("`marginal` is a fraction of the width between `min` and `max` and needs both");
        }
        if marginal.is_some_and(|fraction| !(0.0..=0.5).contains(&fraction)) {
            return Err("`marginal` is a fraction of the width between the limits, from 0 to 0.5");
        }
        // Minus zero is zero, in the canonical form too.
        let plain = |value: f64| value + 0.0;
        Ok(Self {
            name,
            unit,
            min: min.map(plain),
            max: max.map(plain),
            marginal: marginal.map(plain),
        })
    }
}

impl Limit {
    /// Judges one measured value. Values on a limit pass it; NaN and infinities fail; another unit is an
    /// [`Outcome::Error`], because then the trial says nothing about the unit.
    pub fn judge(&self, value: f64, unit: &str) -> Outcome {
        if unit != self.unit.as_str() {
            return Outcome::Error;
        }
        let min = self.min.unwrap_or(f64::NEG_INFINITY);
        let max = self.max.unwrap_or(f64::INFINITY);
        if !value.is_finite() || value < min || value > max {
            return Outcome::Fail;
        }
        match (self.min, self.max, self.marginal) {
            (Some(min), Some(max), Some(fraction)) if fraction > 0.0 => {
                let margin = (max - min) * fraction;
                if value < min + margin || value > max - margin {
                    Outcome::Marginal
                } else {
                    Outcome::Pass
                }
            }
            _ => Outcome::Pass,
        }
    }
}

impl std::fmt::Display for Limit {
    /// `3.2 V ≤ supply_voltage ≤ 3.4 V`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(min) = self.min {
            write!(f, "{min} {} ≤ ", self.unit)?;
        }
        write!(f, "{}", self.name)?;
        if let Some(max) = self.max {
            write!(f, " ≤ {max} {}", self.unit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(min: Option<f64>, max: Option<f64>, marginal: Option<f64>) -> Result<Limit, &'static str> {
        LimitKeys {
            name: "v".parse().unwrap(),
            unit: "V".parse().unwrap(),
            min,
            max,
            marginal,
        }
        .try_into()
    }

    #[test]
    fn values_are_judged() {
        let limit = limit(Some(3.0), Some(4.0), Some(0.1)).unwrap();
        for (value, outcome) in [
            (3.5, Outcome::Pass),
            (3.0, Outcome::Marginal),
            (3.05, Outcome::Marginal),
            (3.95, Outcome::Marginal),
            (4.0, Outcome::Marginal),
            (2.999, Outcome::Fail),
            (4.001, Outcome::Fail),
            (f64::NAN, Outcome::Fail),
            (f64::INFINITY, Outcome::Fail),
            (f64::NEG_INFINITY, Outcome::Fail),
        ] {
            assert_eq!(limit.judge(value, "V"), outcome, "{value}");
        }
        assert_eq!(limit.judge(3.5, "mV"), Outcome::Error);
        assert_eq!(limit.judge(3.5, "v"), Outcome::Error);
    }

    #[test]
    fn an_infinity_fails_even_where_no_limit_stands() {
        assert_eq!(
            limit(Some(0.0), None, None).unwrap().judge(f64::INFINITY, "V"),
            Outcome::Fail
        );
        assert_eq!(
            limit(Some(0.0), None, None).unwrap().judge(f64::MAX, "V"),
            Outcome::Pass
        );
        assert_eq!(
            limit(None, Some(0.0), None).unwrap().judge(-0.0, "V"),
            Outcome::Pass
        );
    }

    #[test]
    fn limits_that_judge_nothing_are_refused() {
        for (min, max, marginal) in [
            (None, None, None),
            (Some(2.0), Some(1.0), None),
            (Some(f64::NAN), None, None),
            (None, Some(f64::INFINITY), None),
            (Some(1.0), None, Some(0.1)),
            (Some(1.0), Some(2.0), Some(0.6)),
            (Some(1.0), Some(2.0), Some(-0.1)),
            (Some(f64::MIN), Some(f64::MAX), None),
        ] {
            assert!(limit(min, max, marginal).is_err(), "{min:?} {max:?} {marginal:?}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_lies_within(min in -1e9..1e9_f64, width in 0.0..1e9_f64, fraction in 0.0..=0.5_f64, value: f64) {
            let limit = limit(Some(min), Some(min + width), Some(fraction)).unwrap();
            let is_within = min <= value && value <= min + width;
            prop_assert_eq!(limit.judge(value, "V").is_good(), is_within);
        }
    }
}
