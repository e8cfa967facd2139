//! Prices: which currencies there are, and which amounts.

use iso_currency::Currency;

/// A currency that prices can be in: the digits behind the point of its amounts. Money needs a minor unit: the codes of
/// metals, funds' units and tests have none.
///
/// # Errors
/// What is expected of it.
pub fn currency(code: &str) -> Result<u32, &'static str> {
    let exponent = Currency::from_code(code).and_then(Currency::exponent);
    exponent
        .map(u32::from)
        .ok_or("must be the upper-case code of a currency of ISO 4217, such as USD")
}

/// An amount in minor units.
///
/// # Errors
/// What is expected of it.
pub fn amount(minor_units: i64) -> Result<i64, &'static str> {
    if minor_units < 0 {
        return Err("must not be negative");
    }
    Ok(minor_units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_without_a_minor_unit_are_no_currencies() {
        for code in ["XXX", "XAU", "XTS", "ABC", "", "US", "EURO", "eur"] {
            assert!(currency(code).is_err(), "{code}");
        }
        for (code, decimals) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("CHF", 2)] {
            assert_eq!(currency(code), Ok(decimals), "{code}");
        }
    }
}
