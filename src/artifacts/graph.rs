//! The order in which artifacts are made, and their keys: an artifact's key
//! covers its own inputs and the keys of all it is made from.

use anyhow::{Result, bail};

use crate::artifacts::artifact::{Artifact, Inputs};

/// One artifact with its place in the order.
pub struct Planned<'a> {
    /// The artifact itself.
    pub artifact: &'a dyn Artifact,
    /// Its inputs, read once.
    pub inputs: Inputs,
    /// Hex SHA-256 over its inputs and the keys of its needs.
    pub key: String,
    /// Where in [`Graph::list`] the artifacts are that it is made from.
    pub needs: Vec<usize>,
}

/// Artifacts such that each comes after those it needs.
pub struct Graph<'a> {
    /// Needs first; otherwise as given.
    pub list: Vec<Planned<'a>>,
}

impl<'a> Graph<'a> {
    /// Orders `all`; a need that is not there, a name given twice or a circle
    /// of needs is an error.
    pub fn of(all: &'a [Box<dyn Artifact>]) -> Result<Self> {
        let mut graph = Self { list: Vec::with_capacity(all.len()) };
        for (at, artifact) in all.iter().enumerate() {
            let name = artifact.name();
            if all[..at].iter().any(|other| other.name() == name) {
                bail!("two artifacts are named {name}");
            }
            if let Some(need) = artifact.needs().iter().find(|need| !all.iter().any(|other| other.name() == **need)) {
                bail!("artifact {name} needs {need}, which is no artifact");
            }
        }
        while graph.list.len() < all.len() {
            let before = graph.list.len();
            for artifact in all {
                if graph.at(artifact.name()).is_none() {
                    graph.add(artifact.as_ref());
                }
            }
            if graph.list.len() == before {
                let names: Vec<&str> =
                    all.iter().map(|artifact| artifact.name()).filter(|name| graph.at(name).is_none()).collect();
                bail!("artifacts need each other in a circle: {}", names.join(", "));
            }
        }
        Ok(graph)
    }

    /// Where the artifact of this name is in [`Graph::list`].
    #[must_use]
    pub fn at(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|planned| planned.artifact.name() == name)
    }

    /// Appends `artifact` if all its needs are in the list already.
    fn add(&mut self, artifact: &'a dyn Artifact) {
        let Some(needs) = artifact.needs().iter().map(|need| self.at(need)).collect::<Option<Vec<usize>>>() else {
            return;
        };
        let inputs = artifact.inputs();
        let mut all = Inputs::new().with("name", artifact.name()).with("inputs", inputs.digest());
        for &need in &needs {
            all = all.with(self.list[need].artifact.name(), &self.list[need].key);
        }
        self.list.push(Planned { artifact, inputs, key: all.digest(), needs });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::fake::Fake;

    fn names(all: &[Box<dyn Artifact>]) -> Vec<String> {
        Graph::of(all).unwrap().list.iter().map(|planned| planned.artifact.name().to_owned()).collect()
    }

    #[test]
    fn needs_come_first() {
        let all = [Fake::new("c").needs(&["b"]).boxed(), Fake::new("b").needs(&["a"]).boxed(), Fake::new("a").boxed()];
        assert_eq!(names(&all), ["a", "b", "c"]);
    }

    #[test]
    fn a_key_changes_with_the_inputs_below_it_and_with_nothing_else() {
        let key = |version: &str| {
            let all =
                [Fake::new("a").input(version).boxed(), Fake::new("b").needs(&["a"]).boxed(), Fake::new("c").boxed()];
            let graph = Graph::of(&all).unwrap();
            graph.list.iter().map(|planned| planned.key.clone()).collect::<Vec<_>>()
        };
        let (one, two) = (key("1"), key("2"));
        assert_eq!(one, key("1"));
        assert_ne!(one[0], two[0]);
        assert_ne!(one[1], two[1]);
        assert_eq!(one[2], two[2]);
    }

    #[test]
    fn circles_strangers_and_twins_are_refused() {
        let circle = [Fake::new("a").needs(&["b"]).boxed(), Fake::new("b").needs(&["a"]).boxed()];
        let stranger = [Fake::new("a").needs(&["x"]).boxed()];
        let twins = [Fake::new("a").boxed(), Fake::new("a").boxed()];
        let error = |all: &[Box<dyn Artifact>]| Graph::of(all).err().unwrap().to_string();
        assert_eq!(error(&circle), "artifacts need each other in a circle: a, b");
        assert_eq!(error(&stranger), "artifact a needs x, which is no artifact");
        assert_eq!(error(&twins), "two artifacts are named a");
    }
}
