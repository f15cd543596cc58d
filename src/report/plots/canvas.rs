//! Drawing: shapes with classes into an SVG that takes its colours from the
//! page's style sheet. The only file that knows the `svg` crate.

use svg::node::Text;
use svg::node::element::Element;
use svg::{Node, node::Value};

use super::look::Mark;

/// An `svg` or `g` element that grows.
pub(super) struct Canvas(Element);

/// x and y in user units, which are pixels where the plot is not scaled.
pub(super) type Point = (f64, f64);

impl Canvas {
    /// A group whose children inherit `class`.
    pub fn group(class: &str) -> Self {
        let mut element = Element::new("g");
        element.assign("class", class);
        Self(element)
    }

    /// The picture of `width` and `height`; `label` is read out
    /// instead of it, nothing where it is empty.
    /// No namespace: inside HTML it goes without saying.
    pub fn picture(self, class: &str, width: f64, height: f64, label: &str) -> String {
        let mut svg = Element::new("svg");
        svg.assign("class", class);
        svg.assign("viewBox", format!("0 0 {} {}", px(width), px(height)));
        if label.is_empty() {
            svg.assign("aria-hidden", "true");
        } else {
            svg.assign("role", "img");
            svg.assign("aria-label", label);
        }
        svg.append(self.0);
        svg.to_string()
    }

    pub fn add(&mut self, child: Self) {
        self.0.append(child.0);
    }

    /// What shows where the mouse rests.
    pub fn tip(&mut self, text: &str) {
        let mut title = Element::new("title");
        title.append(Text::new(text));
        self.0.append(title);
    }

    pub fn line(&mut self, class: &str, from: Point, to: Point) {
        self.shape("path", class, [("d", format!("M{}L{}", at(from), at(to)).into())]);
    }

    /// A line through all points.
    pub fn curve(&mut self, class: &str, points: &[Point]) {
        if points.len() > 1 {
            let points: Vec<String> = points.iter().map(|point| at(*point)).collect();
            self.shape("path", class, [("d", format!("M{}", points.join("L")).into())]);
        }
    }

    pub fn rectangle(&mut self, class: &str, from: Point, to: Point) {
        let attributes = [
            ("x", px(from.0).into()),
            ("y", px(from.1).into()),
            ("width", px(to.0 - from.0).into()),
            ("height", px(to.1 - from.1).into()),
        ];
        self.shape("rect", class, attributes);
    }

    /// Text on the baseline at `point`; classes `mid` and `end` say where it is held.
    pub fn text(&mut self, class: &str, point: Point, text: &str) {
        let mut element = Element::new("text");
        element.assign("class", class);
        element.assign("x", px(point.0));
        element.assign("y", px(point.1));
        element.append(Text::new(text));
        self.0.append(element);
    }

    /// A lane's mark with its middle at `point`, about `2 * radius` large.
    pub fn mark(&mut self, mark: Mark, point: Point, radius: f64) {
        let d = mark.outline(point, radius).iter().map(|corner| at(*corner)).collect::<Vec<_>>().join("L");
        match mark {
            Mark::Circle | Mark::Ring => {
                let class = if mark == Mark::Ring { "ring" } else { "fill" };
                let circle = [("cx", px(point.0).into()), ("cy", px(point.1).into()), ("r", px(radius).into())];
                self.shape("circle", class, circle);
            }
            _ => self.shape("path", "fill", [("d", format!("M{d}Z").into())]),
        }
    }

    fn shape<const N: usize>(&mut self, name: &str, class: &str, attributes: [(&str, Value); N]) {
        let mut element = Element::new(name);
        element.assign("class", class);
        for (name, value) in attributes {
            element.assign(name, value);
        }
        self.0.append(element);
    }
}

/// A tenth of a pixel is enough, and keeps the page small.
fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn at(point: Point) -> String {
    format!("{} {}", px(point.0), px(point.1))
}
