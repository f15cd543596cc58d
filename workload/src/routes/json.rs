//! `/json`: what a small service mostly does, parse a document and answer with another.
//!
//! Whole numbers only: money in cents, rates in hundredths of a percent. So
//! the answer is the same to the byte on every target.

use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::{Body, count};

/// 4 KiB as another service would send them: typed fields, nested lists, escapes, UTF-8.
const ORDER: &str = include_str!("order.json");
/// Documents parsed where no number is given.
const DEFAULT: u32 = 1;
/// Most documents of one request.
const MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    order: String,
    customer: Customer,
    currency: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Customer {
    name: String,
    street: String,
    city: String,
    postcode: String,
    country: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    name: String,
    quantity: u64,
    /// Cents.
    unit_price: u64,
    /// Hundredths of a percent.
    tax_rate: u64,
    tags: Vec<String>,
}

/// The answer: sums over all orders, words of the last one.
#[derive(Default, Serialize)]
struct Summary {
    order: String,
    ship_to: String,
    currency: String,
    orders: u64,
    lines: u64,
    pieces: u64,
    fragile: u64,
    /// Cents, as are the two below.
    net: u64,
    tax: u64,
    total: u64,
    dearest: String,
}

/// Parses the order `n` times and answers with its totals.
pub fn json(query: &str) -> Result<Body, String> {
    let times = count(query, DEFAULT, MAX)?;
    let mut summary = Summary::default();
    for _ in 0..times {
        // Hidden from the compiler, which else might see one text parsed over and over.
        let order = serde_json::from_str(black_box(ORDER)).map_err(|fault| format!("the order: {fault}"))?;
        summary.add(order);
    }
    let mut text = serde_json::to_string(&summary).map_err(|fault| format!("the summary: {fault}"))?;
    text.push('\n');
    Ok(Body::json(text))
}

impl Summary {
    fn add(&mut self, order: Order) {
        let mut dearest = 0;
        for line in &order.lines {
            let net = line.quantity * line.unit_price;
            let tax = (net * line.tax_rate + 5_000) / 10_000;
            self.pieces += line.quantity;
            self.fragile += u64::from(line.tags.iter().any(|tag| tag == "fragile"));
            self.net += net;
            self.tax += tax;
            if net > dearest {
                dearest = net;
                self.dearest = format!("{} ({})", line.name, line.sku);
            }
        }
        self.orders += 1;
        self.lines += order.lines.len() as u64;
        self.total = self.net + self.tax;
        let Customer { name, street, city, postcode, country } = order.customer;
        self.ship_to = format!("{name}, {street}, {country}-{postcode} {city}");
        self.order = order.order;
        self.currency = order.currency;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_summed_up() {
        // Computed by another program, in another language.
        let words =
            r#"{"order":"2024-000731","ship_to":"Zoë Fuchs-Weiß, Am Wehr 7, DE-02826 Görlitz","currency":"EUR""#;
        let last = r#""dearest":"Espresso machine, 15 bar (KF-01000)"}"#;
        let one = r#""orders":1,"lines":22,"pieces":64,"fragile":5,"net":149114,"tax":26098,"total":175212"#;
        let all = r#""orders":1000,"lines":22000,"pieces":64000,"fragile":5000,"net":149114000,"tax":26098000,"total":175212000"#;
        for (query, sums) in [("", one), ("n=1", one), ("n=1000", all)] {
            assert_eq!(json(query).unwrap().to_text(), format!("{words},{sums},{last}\n"), "{query}");
        }
    }

    #[test]
    fn the_document_is_of_the_size_that_is_said() {
        assert!((3_900..4_200).contains(&ORDER.len()), "{}", ORDER.len());
    }

    #[test]
    fn documents_are_bounded() {
        for query in ["n=0", "n=1001", "n=x", "n=", "n", "n=1.5"] {
            assert_eq!(json(query).unwrap_err(), "n must be a number from 1 to 1000", "{query}");
        }
    }
}
