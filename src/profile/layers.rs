//! Layers of values put on each other: the default profile, a file, overrides.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Explained;
use super::fault::Origin;
use super::path::{Path, Step};
use super::read::Leaf;
use crate::secrets;

/// The merged values: every field of the default profile, by path.
pub struct Values {
    leaves: Vec<Leaf>,
    places: BTreeMap<Path, usize>,
    /// Where each node of the file begins.
    nodes: Vec<Origin>,
}

impl Values {
    /// The default's values, its first node repeated as often as the file has
    /// `[[nodes]]`.
    pub fn new(base: &[Leaf], nodes: Option<Vec<Origin>>) -> Self {
        let (mut leaves, mut done) = (Vec::new(), false);
        for leaf in base {
            let in_node = matches!(leaf.path.0.as_slice(), [_, Step::Index(_), ..]);
            match &nodes {
                Some(nodes) if in_node && !done => {
                    let template = || base.iter().filter(|leaf| matches!(leaf.path.0.get(1), Some(Step::Index(0))));
                    for index in 0..nodes.len() {
                        leaves.extend(template().map(|leaf| {
                            let mut leaf = leaf.clone();
                            leaf.path.0[1] = Step::Index(index);
                            leaf
                        }));
                    }
                    done = true;
                }
                Some(_) if in_node => {}
                _ => leaves.push(leaf.clone()),
            }
        }
        let places = leaves.iter().enumerate().map(|(place, leaf)| (leaf.path.clone(), place)).collect();
        Self { leaves, places, nodes: nodes.unwrap_or_default() }
    }

    /// Replaces the value of a field that a profile has.
    pub fn set(&mut self, leaf: Leaf) {
        if let Some(&place) = self.places.get(&leaf.path) {
            self.leaves[place] = leaf;
        }
    }

    /// Every field.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.leaves.iter().map(|leaf| &leaf.path)
    }

    /// Where to mend a field: where its value came from, or where the file's
    /// node begins that left it out.
    pub fn place(&self, path: &Path) -> Option<&Origin> {
        let origin = self.places.get(path).map(|&place| &self.leaves[place].origin)?;
        match (origin, path.0.get(1)) {
            (Origin::Default, Some(Step::Index(index))) => Some(self.nodes.get(*index).unwrap_or(origin)),
            _ => Some(origin),
        }
    }

    /// Every value with its origin, for the user.
    pub fn explain(&self) -> Vec<Explained> {
        let bare = |value: &Value| {
            value.as_str().filter(|text| !text.is_empty()).map(|text| secrets::redact(text).into_owned())
        };
        let shown = |value: &Value| bare(value).unwrap_or_else(|| value.to_string());
        let explained = |leaf: &Leaf| Explained {
            path: leaf.path.to_string(),
            value: shown(&leaf.value),
            origin: leaf.origin.clone(),
        };
        self.leaves.iter().map(explained).collect()
    }

    /// All values as one tree.
    pub fn tree(&self) -> Value {
        let mut tree = Value::Null;
        for leaf in &self.leaves {
            let slot = leaf.path.0.iter().fold(&mut tree, |slot, step| match step {
                Step::Key(name) => {
                    if !slot.is_object() {
                        *slot = Value::Object(serde_json::Map::new());
                    }
                    &mut slot[name.as_str()]
                }
                Step::Index(index) => {
                    if !slot.is_array() {
                        *slot = Value::Array(Vec::new());
                    }
                    if let Some(items) = slot.as_array_mut().filter(|items| items.len() <= *index) {
                        items.resize(index + 1, Value::Null);
                    }
                    &mut slot[*index]
                }
            });
            *slot = leaf.value.clone();
        }
        tree
    }
}
