//! Logarithmic axes.

/// Values to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogScale {
    /// The values at both ends, above 0.
    pub values: (f64, f64),
    /// Where they are drawn; the first may be the greater.
    pub pixels: (f64, f64),
}

/// Steps within a power of ten, the coarsest first.
const STEPS: [&[f64]; 3] = [&[1.0], &[1.0, 2.0, 5.0], &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]];

/// What a ratio's axis may be marked with besides 1, in order of preference.
const RATIOS: [f64; 18] =
    [0.5, 2.0, 0.8, 1.25, 0.9, 1.1, 0.95, 1.05, 0.7, 1.5, 0.6, 1.75, 0.98, 1.02, 0.96, 1.04, 0.99, 1.01];

impl LogScale {
    /// Where `value` is; what is outside stays at the nearest end.
    pub fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let share = (value.clamp(low, high) / low).ln() / (high / low).ln();
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    fn inside(&self, value: f64) -> bool {
        (self.values.0..=self.values.1).contains(&value)
    }

    /// Round values at least `apart` pixels from each other, as many as fit.
    pub fn ticks(&self, apart: f64) -> Vec<f64> {
        let of = |steps: &[f64]| -> Vec<f64> {
            let powers = self.values.0.log10().floor() as i32..=self.values.1.log10().ceil() as i32;
            powers
                .flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)))
                .filter(|value| self.inside(*value))
                .collect()
        };
        let fits = |ticks: &Vec<f64>| {
            ticks.len() > 1 && ticks.windows(2).all(|two| (self.at(two[1]) - self.at(two[0])).abs() >= apart)
        };
        STEPS.into_iter().rev().map(of).find(fits).unwrap_or_else(|| vec![self.values.0, self.values.1])
    }

    /// 1 and round ratios around it, `apart` pixels from each other.
    pub fn ratio_ticks(&self, apart: f64) -> Vec<f64> {
        let mut found = vec![1.0];
        for value in RATIOS {
            if self.inside(value) && found.iter().all(|other| (self.at(*other) - self.at(value)).abs() >= apart) {
                found.push(value);
            }
        }
        found.sort_by(f64::total_cmp);
        found
    }
}

/// Moves labels apart: at least `gap` between neighbours, within `from` and
/// `to` as far as they fit, in their order, as near to where they belong as
/// possible. Returns the places in the order of `wanted`.
pub(super) fn spread(wanted: &[f64], gap: f64, from: f64, to: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Runs of touching labels, each centred on the mean of its members' places.
    let mut runs: Vec<(f64, usize)> = Vec::new();
    let top = |run: &(f64, usize)| {
        let height = gap * (run.1 as f64 - 1.0);
        (run.0 - height / 2.0).min(to - height).max(from)
    };
    for index in &order {
        let mut run = (wanted[*index], 1);
        while let Some(last) = runs.last().copied() {
            if top(&last) + gap * last.1 as f64 <= top(&run) {
                break;
            }
            runs.pop();
            let count = last.1 + run.1;
            run = ((last.0 * last.1 as f64 + run.0 * run.1 as f64) / count as f64, count);
        }
        runs.push(run);
    }
    let mut places = vec![0.0; wanted.len()];
    let slots = runs.iter().flat_map(|run| (0..run.1).map(move |step| top(run) + gap * step as f64));
    for (index, place) in order.into_iter().zip(slots.collect::<Vec<_>>()) {
        places[index] = place;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_apart() {
        let scale = LogScale { values: (0.3, 30.0), pixels: (200.0, 0.0) };
        assert_eq!(scale.ticks(25.0), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(scale.ticks(60.0), [1.0, 10.0]);
        let narrow = LogScale { values: (3.1, 3.4), pixels: (0.0, 100.0) };
        assert_eq!(narrow.ticks(20.0), [3.1, 3.4]);
        assert_eq!(LogScale { values: (0.5, 2.0), pixels: (0.0, 180.0) }.ratio_ticks(28.0), [0.5, 0.8, 1.0, 1.25, 2.0]);
    }

    #[test]
    fn what_is_outside_stays_at_the_edge() {
        let scale = LogScale { values: (0.5, 2.0), pixels: (0.0, 100.0) };
        assert_eq!([scale.at(0.01), scale.at(1.0), scale.at(9.0)], [0.0, 50.0, 100.0]);
    }

    #[test]
    fn labels_do_not_touch() {
        assert_eq!(spread(&[10.0, 50.0], 12.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[50.0, 50.0], 12.0, 0.0, 100.0), [44.0, 56.0]);
        assert_eq!(spread(&[99.0, 98.0, 2.0], 12.0, 0.0, 100.0), [100.0, 88.0, 2.0]);
        let many = spread(&[5.0, 5.0, 20.0, 21.0, 22.0], 12.0, 0.0, 100.0);
        assert!(many.windows(2).all(|two| two[1] - two[0] >= 12.0 - 1e-9), "{many:?}");
        assert!(spread(&[], 12.0, 0.0, 1.0).is_empty());
    }
}
