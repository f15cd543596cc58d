//! Artifacts made of nothing, for the engine's own tests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::artifacts::artifact::{Artifact, Inputs, Making};

type Make = Box<dyn Fn(&Path, &Making) -> Result<()> + Send + Sync>;

/// Writes its input into a file named after itself, and counts how often.
pub struct Fake {
    name: &'static str,
    input: String,
    needs: Vec<&'static str>,
    made: Arc<AtomicUsize>,
    make: Option<Make>,
}

impl Fake {
    pub fn new(name: &'static str) -> Self {
        Self { name, input: String::new(), needs: Vec::new(), made: Arc::default(), make: None }
    }

    pub fn input(mut self, input: &str) -> Self {
        self.input = input.to_owned();
        self
    }

    pub fn needs(mut self, needs: &[&'static str]) -> Self {
        self.needs = needs.to_vec();
        self
    }

    pub fn counted(mut self, made: &Arc<AtomicUsize>) -> Self {
        self.made = Arc::clone(made);
        self
    }

    pub fn by(mut self, make: impl Fn(&Path, &Making) -> Result<()> + Send + Sync + 'static) -> Self {
        self.make = Some(Box::new(make));
        self
    }

    pub fn boxed(self) -> Box<dyn Artifact> {
        Box::new(self)
    }
}

impl Artifact for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn title(&self) -> String {
        format!("Make {}", self.name)
    }

    fn inputs(&self) -> Inputs {
        Inputs::new().with("input", &self.input)
    }

    fn needs(&self) -> Vec<&str> {
        self.needs.clone()
    }

    fn make(&self, into: &Path, cx: &Making) -> Result<()> {
        self.made.fetch_add(1, Ordering::SeqCst);
        cx.record("told", &self.input);
        std::fs::write(into.join(self.name), &self.input)?;
        self.make.as_ref().map_or(Ok(()), |make| make(into, cx))
    }
}
