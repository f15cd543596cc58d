//! Figures as text, the same in every report. What is no number is a dash.

use crate::bench::verdict::decimals;
use crate::stats::Interval;

/// Stands for a figure that there is not.
pub(super) const NONE: &str = "-";

fn finite(value: f64, text: impl FnOnce() -> String) -> String {
    if value.is_finite() { text() } else { NONE.into() }
}

/// Milliseconds with two digits, as in the demo's table.
pub(super) fn ms(value: f64) -> String {
    finite(value, || format!("{value:.2} ms"))
}

/// Milliseconds with a digit more where the time is short.
pub(super) fn latency(value: f64) -> String {
    if value < 0.995 { finite(value, || format!("{value:.3} ms")) } else { ms(value) }
}

/// Milliseconds with as many digits as a plot has room for.
pub(super) fn short_ms(value: f64) -> String {
    finite(value, || match value {
        v if v >= 9_950.0 => format!("{:.0} s", v / 1e3),
        v if v >= 995.0 => format!("{:.1} s", v / 1e3),
        v if v >= 9.95 => format!("{v:.0} ms"),
        v if v >= 0.995 => format!("{v:.1} ms"),
        v => format!("{v:.2} ms"),
    })
}

/// A round value on an axis of milliseconds, with no more digits than it has.
pub(super) fn tick_ms(value: f64) -> String {
    let rounded = |value: f64| (value * 1e4).round() / 1e4;
    if value < 1_000.0 { format!("{} ms", rounded(value)) } else { format!("{} s", rounded(value / 1e3)) }
}

/// A time given in microseconds.
pub(super) fn us(value: f64) -> String {
    finite(value, || match value {
        v if v >= 9_995.0 => format!("{:.1} ms", v / 1e3),
        v if v >= 999.5 => format!("{:.2} ms", v / 1e3),
        v if v >= 99.5 => format!("{v:.0} µs"),
        v => format!("{v:.1} µs"),
    })
}

/// A whole number with its thousands set apart.
pub(super) fn count(value: f64) -> String {
    finite(value, || {
        let digits = format!("{:.0}", value.abs());
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        if value <= -0.5 { format!("-{text}") } else { text }
    })
}

/// Requests per second.
pub(super) fn rate(value: f64) -> String {
    if value.abs() < 99.95 { finite(value, || format!("{value:.1}")) } else { count(value) }
}

/// Memory given in KiB.
pub(super) fn memory(kib: f64) -> String {
    let mib = kib / 1024.0;
    finite(kib, || if mib.abs() < 99.95 { format!("{mib:.1} MiB") } else { format!("{} MiB", count(mib)) })
}

/// A size on disk, in decimal units as image registries give it.
pub(super) fn size(bytes: f64) -> String {
    let mb = bytes / 1e6;
    finite(bytes, || match mb {
        v if v < 0.0995 => format!("{:.1} kB", bytes / 1e3),
        v if v < 9.95 => format!("{v:.2} MB"),
        v if v < 99.95 => format!("{v:.1} MB"),
        v => format!("{} MB", count(v)),
    })
}

/// How long something took, given in seconds.
pub(super) fn duration(seconds: f64) -> String {
    finite(seconds, || {
        let whole = seconds.round().max(0.0) as u64;
        match (whole / 3600, whole % 3600 / 60, whole % 60) {
            (0, 0, s) => format!("{s} s"),
            (0, m, 0) => format!("{m} min"),
            (0, m, s) => format!("{m} min {s} s"),
            (h, m, _) => format!("{h} h {m} min"),
        }
    })
}

/// A share of 0 to 1.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    finite(
        share,
        || {
            if (value - value.round()).abs() < 0.05 { format!("{value:.0} %") } else { format!("{value:.1} %") }
        },
    )
}

/// A ratio alone: three digits, two below 0.1.
pub(super) fn ratio(value: f64) -> String {
    finite(value, || format!("{value:.*}", decimals(value)))
}

/// An interval in parts, so that each report can set them its own way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The ratio.
    pub estimate: String,
    /// The lower end, with as many digits.
    pub low: String,
    /// The upper end, with as many digits.
    pub high: String,
}

/// The ratio with its ends; one digit more where the ends would look alike.
pub(super) fn parts(interval: &Interval) -> Parts {
    let with = |digits: usize| Parts {
        estimate: finite(interval.estimate, || format!("{:.digits$}", interval.estimate)),
        low: finite(interval.low, || format!("{:.digits$}", interval.low)),
        high: finite(interval.high, || format!("{:.digits$}", interval.high)),
    };
    let digits = decimals(interval.estimate);
    let parts = with(digits);
    if parts.low == parts.high { with(digits + 1) } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::interval;

    #[test]
    fn figures_have_as_many_digits_as_they_deserve() {
        assert_eq!([ms(34.921), ms(f64::NAN)], ["34.92 ms", "-"]);
        assert_eq!([0.0642, 1.234].map(latency), ["0.064 ms", "1.23 ms"]);
        assert_eq!(
            [0.042, 3.24, 31.4, 1_234.0, 12_345.0].map(short_ms),
            ["0.04 ms", "3.2 ms", "31 ms", "1.2 s", "12 s"]
        );
        assert_eq!([47.31, 152.4, 1_234.0, 23_456.0].map(us), ["47.3 µs", "152 µs", "1.23 ms", "23.5 ms"]);
        assert_eq!(
            [0.0, 999.0, 20_113.4, 1_234_567.0, -1_234.0].map(count),
            ["0", "999", "20,113", "1,234,567", "-1,234"]
        );
        assert_eq!([7.36, 706.2].map(rate), ["7.4", "706"]);
        assert_eq!([900.0, 13_926.0, 204_800.0].map(memory), ["0.9 MiB", "13.6 MiB", "200 MiB"]);
        assert_eq!(
            [52_300.0, 1_420_000.0, 41_300_000.0, 123_000_000.0].map(size),
            ["52.3 kB", "1.42 MB", "41.3 MB", "123 MB"]
        );
        assert_eq!([41.6, 120.0, 845.0, 7_290.0].map(duration), ["42 s", "2 min", "14 min 5 s", "2 h 1 min"]);
        assert_eq!([0.95, 0.0131].map(percent), ["95 %", "1.3 %"]);
        assert_eq!(
            [113.4, 12.34, 1.0, 0.934, 0.0413, 0.00881].map(ratio),
            ["113", "12.3", "1.00", "0.93", "0.041", "0.0088"]
        );
    }

    #[test]
    fn ends_of_an_interval_do_not_look_alike() {
        let text = |estimate, low, high| {
            let parts = parts(&interval(estimate, low, high));
            format!("{} ({}-{})", parts.estimate, parts.low, parts.high)
        };
        assert_eq!(text(0.93, 0.91, 0.95), "0.93 (0.91-0.95)");
        assert_eq!(text(1.0, 0.998, 1.003), "1.000 (0.998-1.003)");
        assert_eq!(text(113.0, 108.0, 119.0), "113 (108-119)");
    }
}
