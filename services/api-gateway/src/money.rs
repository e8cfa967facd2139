//! Prices: a decimal number in JSON, whole minor units of a currency of ISO 4217 behind it, and nothing inexact between.

use proto::money::Money;
use rules::price;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// The currency of a price that names none.
pub const DEFAULT_CURRENCY: &str = "USD";

/// A number as it stands in JSON, digit by digit: that of `serde_json` would be rounded to the nearest binary fraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if text
            .get()
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
        {
            Ok(Self(text.get().to_owned()))
        } else {
            Err(de::Error::custom("must be a number"))
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = RawValue::from_string(self.0.clone()).map_err(ser::Error::custom)?;
        text.serialize(serializer)
    }
}

/// Why a price is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a code of ISO 4217, or of one without a minor unit, such as gold.
    #[error("{0}")]
    UnknownCurrency(&'static str),
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Smaller than the currency's smallest coin.
    #[error("must have at most {decimals} decimals in {currency}")]
    TooManyDecimals {
        /// What the currency has.
        decimals: u32,
        /// Its code.
        currency: String,
    },
    /// More than can be counted.
    #[error("is too large")]
    TooLarge,
}

impl MoneyError {
    /// The JSON field at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::UnknownCurrency(_) => "currency",
            _ => "price",
        }
    }
}

/// The amount that a JSON number names.
pub fn parse(number: &Number, currency: &str) -> Result<Money, MoneyError> {
    let decimals = price::currency(currency).map_err(MoneyError::UnknownCurrency)?;
    let text = number.0.as_str();
    if text.starts_with('-') && !is_zero(text) {
        return Err(MoneyError::Negative);
    }
    let too_many = || MoneyError::TooManyDecimals {
        decimals,
        currency: currency.to_owned(),
    };
    let amount = match decimal(text) {
        Some(amount) => amount.normalize(),
        None if is_small(text) => return Err(too_many()),
        None => return Err(MoneyError::TooLarge),
    };
    if amount.scale() > decimals {
        return Err(too_many());
    }
    let minor_units = Decimal::from(10_u64.pow(decimals))
        .checked_mul(amount)
        .and_then(|units| units.to_i64())
        .ok_or(MoneyError::TooLarge)?;
    Ok(Money {
        minor_units,
        currency_code: currency.to_owned(),
    })
}

/// The amount as a JSON number, without zeros at its end that say nothing. An amount in a currency that nobody knows
/// any more counts in whole units.
pub fn to_number(money: &Money) -> Number {
    let decimals = minor_digits(&money.currency_code);
    Number(Decimal::new(money.minor_units, decimals).normalize().to_string())
}

/// The digits after the point that prices of that currency have; 0 for what is no currency.
pub fn minor_digits(currency: &str) -> u32 {
    price::currency(currency).unwrap_or_default()
}

/// The number exactly, or nothing where it has more digits than 96 bits hold.
fn decimal(text: &str) -> Option<Decimal> {
    let (digits, exponent) = split(text)?;
    let exact = Decimal::from_str_exact(digits).ok()?;
    if exact.is_zero() {
        return Some(Decimal::ZERO);
    }
    let scale = i64::from(exact.scale()) - exponent;
    if let Ok(scale) = u32::try_from(scale) {
        let mut scaled = exact;
        scaled.set_scale(scale).ok()?;
        return Some(scaled);
    }
    let mut whole = exact;
    whole.set_scale(0).ok()?;
    let factor = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
    Decimal::try_from_i128_with_scale(factor, 0)
        .ok()?
        .checked_mul(whole)
}

/// The digits and the power of ten of a JSON number. Zeros at the end of a fraction say nothing, however many they are.
fn split(text: &str) -> Option<(&str, i64)> {
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse().ok()?),
        None => (text, 0),
    };
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    };
    Some((digits, exponent))
}

fn is_zero(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or(text);
    !digits.contains(|c: char| c.is_ascii_digit() && c != '0')
}

/// Whether a number that is too long for a [`Decimal`] is so because of its decimals.
fn is_small(text: &str) -> bool {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let whole = digits
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_start_matches('-');
    exponent.starts_with('-') || (exponent == "0" && whole.len() <= 18)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, currency: &str) -> Result<i64, MoneyError> {
        parse(&serde_json::from_str(text).unwrap(), currency).map(|money| money.minor_units)
    }

    #[test]
    fn prices_are_read_exactly() {
        for (text, currency, minor_units) in [
            ("0", "USD", 0),
            ("-0", "USD", 0),
            ("0e999999", "USD", 0),
            ("10.99", "USD", 1_099),
            ("10.990000", "USD", 1_099),
            ("1e2", "USD", 10_000),
            ("1.5E+1", "USD", 1_500),
            ("1099e-2", "USD", 1_099),
            ("500", "JPY", 500),
            ("1.234", "KWD", 1_234),
            ("1.000", "EUR", 100),
            ("1.0000000000000000000000000000000", "EUR", 100),
            ("1.50000000000000000000000000000000000000e1", "USD", 1_500),
            ("0.0000000000000000000000000000000000", "JPY", 0),
            ("92233720368547758.07", "USD", i64::MAX),
            (
                "92233720368547758.070000000000000000000000000000",
                "USD",
                i64::MAX,
            ),
        ] {
            assert_eq!(read(text, currency), Ok(minor_units), "{text} {currency}");
        }
    }

    #[test]
    fn what_a_currency_cannot_express_is_refused() {
        let decimals = |text| {
            matches!(
                read(text, "USD"),
                Err(MoneyError::TooManyDecimals { decimals: 2, .. })
            )
        };
        for text in [
            "0.001",
            "1.005",
            "1.0050000000000000000000000000000000000",
            "1e-3",
            "1e-400",
            "0.1000000000000000000000000000000000001",
        ] {
            assert!(decimals(text), "{text}");
        }
        for text in [
            "1e400",
            "92233720368547758.08",
            "1000000000000000000",
            "1e99999999999999999999",
        ] {
            assert_eq!(read(text, "USD"), Err(MoneyError::TooLarge), "{text}");
        }
        for text in ["-0.01", "-1e400"] {
            assert_eq!(read(text, "USD"), Err(MoneyError::Negative), "{text}");
        }
        for code in ["usd", "dollars", "", "XAU", "XXX"] {
            assert!(
                matches!(read("1", code), Err(MoneyError::UnknownCurrency(_))),
                "{code}"
            );
        }
    }

    #[test]
    fn amounts_are_written_without_idle_zeros() {
        let write = |minor_units, code: &str| {
            to_number(&Money {
                minor_units,
                currency_code: code.to_owned(),
            })
            .0
        };
        assert_eq!(write(620, "USD"), "6.2");
        assert_eq!(write(1_200, "USD"), "12");
        assert_eq!(write(0, "USD"), "0");
        assert_eq!(write(5, "JPY"), "5");
        assert_eq!(write(1, "KWD"), "0.001");
    }

    proptest! {
        #[test]
        fn an_amount_survives_the_way_to_json_and_back(
            minor_units in 0..=i64::MAX,
            currency in prop::sample::select(vec!["USD", "JPY", "KWD", "EUR", "CLF"]),
        ) {
            let money = Money { minor_units, currency_code: currency.to_owned() };
            let text = serde_json::to_string(&to_number(&money)).unwrap();
            prop_assert_eq!(parse(&serde_json::from_str(&text).unwrap(), currency), Ok(money));
        }

        #[test]
        fn any_number_is_read_or_refused(mantissa in any::<i64>(), exponent in -50_i32..50) {
            let _outcome = read(&format!("{mantissa}e{exponent}"), "USD");
        }
    }
}
