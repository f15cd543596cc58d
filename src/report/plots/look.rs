//! What a lane looks like: the same colour and mark in every plot and table.
//! Colours are Okabe and Ito's, which the colour-blind can tell apart; the
//! style sheet has them as `k0` to `k6`, and `kt` for the A/A twin. Marks
//! differ too.

use super::canvas::{Canvas, Point};
use crate::arms::Mode;
use crate::bench::run::Lane;

/// A lane's colour and mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) struct Look {
    /// Class that sets the colour.
    pub class: &'static str,
    /// Shape of its points.
    pub mark: Mark,
}

/// Shapes of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Mark {
    /// The control's.
    Circle,
    /// Wasm, compiled.
    Square,
    /// Wasm, interpreted.
    Diamond,
    /// Another lane's.
    Up,
    /// Another lane's.
    Down,
    /// Another lane's.
    Bar,
    /// The twin's: hollow.
    Ring,
}

const CONTROL: Look = Look { class: "k0", mark: Mark::Circle };
const AOT: Look = Look { class: "k1", mark: Mark::Square };
const INTERPRETER: Look = Look { class: "k2", mark: Mark::Diamond };
const OTHERS: [Look; 4] = [
    Look { class: "k3", mark: Mark::Up },
    Look { class: "k4", mark: Mark::Down },
    Look { class: "k5", mark: Mark::Bar },
    Look { class: "k6", mark: Mark::Square },
];
const TWIN: Look = Look { class: "kt", mark: Mark::Ring };

/// Looks in the order of `lanes`. The modes have their own, so that pages of
/// runs with different lanes can be compared.
pub(in crate::report) fn looks(lanes: &[Lane]) -> Vec<Look> {
    let mut used: Vec<Look> = Vec::new();
    let mut others = OTHERS.into_iter().cycle();
    for (index, lane) in lanes.iter().enumerate() {
        let own = match lane.mode {
            _ if lane.twin_of.is_some() => Some(TWIN),
            _ if index == 0 => Some(CONTROL),
            Mode::Aot => Some(AOT).filter(|look| !used.contains(look)),
            Mode::Interpreter => Some(INTERPRETER).filter(|look| !used.contains(look)),
            Mode::Native => None,
        };
        used.extend(own.or_else(|| others.next()));
    }
    used
}

impl Look {
    /// The mark by itself, for tables and text.
    pub fn sign(self) -> String {
        let mut group = Canvas::group(self.class);
        group.mark(self.mark, (6.0, 6.0), 4.0);
        group.picture("sign", 12.0, 12.0, "")
    }
}

impl Mark {
    /// Corners; none where it is round.
    pub(super) fn outline(self, (x, y): Point, r: f64) -> Vec<Point> {
        let s = r * 0.9;
        let d = r * 1.3;
        match self {
            Self::Circle | Self::Ring => Vec::new(),
            Self::Square => vec![(x - s, y - s), (x + s, y - s), (x + s, y + s), (x - s, y + s)],
            Self::Diamond => vec![(x, y - d), (x + d, y), (x, y + d), (x - d, y)],
            Self::Up => vec![(x, y - d), (x + d, y + s), (x - d, y + s)],
            Self::Down => vec![(x, y + d), (x + d, y - s), (x - d, y - s)],
            Self::Bar => vec![(x - r * 0.5, y - d), (x + r * 0.5, y - d), (x + r * 0.5, y + d), (x - r * 0.5, y + d)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn no_two_lanes_look_alike_and_modes_keep_their_colour() {
        let lanes = synthetic::quick().lanes;
        let all = looks(&lanes);
        let mut classes: Vec<_> = all.iter().map(|look| look.class).collect();
        assert_eq!(classes, ["k0", "kt", "k3", "k4", "k1", "k2"]);
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes.len(), lanes.len());
        assert_eq!(looks(&[lanes[0].clone(), lanes[5].clone()])[1], all[5]);
    }
}
