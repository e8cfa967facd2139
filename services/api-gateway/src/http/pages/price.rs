//! Prices as people read them, as `Intl.NumberFormat` writes them in the browser: a page from the gateway and the same page
//! after its scripts look the same (`tests/browser` compares them).

use proto::money::Money;

use super::language::Language;
use crate::money;

/// What stands for a currency, where it is not its code (CLDR).
fn symbol(currency: &str) -> Option<&'static str> {
    Some(match currency {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "JPY" => "¥",
        "INR" => "₹",
        "KRW" => "₩",
        _ => return None,
    })
}

/// An amount in that language: `€1,299.00`, `1.299,00 €`.
pub(super) fn text(amount: &Money, language: Language) -> String {
    let currency = amount.currency_code.as_str();
    let decimals = usize::try_from(money::minor_digits(currency)).unwrap_or_default();
    let digits = amount.minor_units.unsigned_abs().to_string();
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let (between, point) = match language {
        Language::English => (',', '.'),
        Language::German => ('.', ','),
    };
    let mut number = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            number.push(between);
        }
        number.push(digit);
    }
    if !fraction.is_empty() {
        number.push(point);
        number.push_str(fraction);
    }
    match (language, symbol(currency)) {
        (Language::English, Some(symbol)) => format!("{symbol}{number}"),
        (Language::English, None) => format!("{currency}\u{a0}{number}"),
        (Language::German, sign) => format!("{number}\u{a0}{}", sign.unwrap_or(currency)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_as_its_readers_do() {
        for (minor_units, currency, english, german) in [
            (1_099, "EUR", "€10.99", "10,99\u{a0}€"),
            (129_900, "USD", "$1,299.00", "1.299,00\u{a0}$"),
            (5, "EUR", "€0.05", "0,05\u{a0}€"),
            (0, "EUR", "€0.00", "0,00\u{a0}€"),
            (1_234_567, "JPY", "¥1,234,567", "1.234.567\u{a0}¥"),
            (1_234, "KWD", "KWD\u{a0}1.234", "1,234\u{a0}KWD"),
            (100, "CHF", "CHF\u{a0}1.00", "1,00\u{a0}CHF"),
        ] {
            let amount = Money {
                minor_units,
                currency_code: currency.to_owned(),
            };
            assert_eq!(text(&amount, Language::English), english);
            assert_eq!(text(&amount, Language::German), german);
        }
    }
}
