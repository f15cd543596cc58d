//! What is looked at before anything is made: the programs, the disk space.
//! All that is missing is said at once.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::artifacts::artifact::Artifact;
use crate::artifacts::cache::Cache;
use crate::artifacts::engine::Verdict;
use crate::artifacts::graph::Graph;
use crate::ui::size;

/// Refuses to start where a program is missing or the disk too full for what
/// `verdicts` would make.
pub fn check(cache: &Cache, graph: &Graph, verdicts: &[Verdict]) -> Result<()> {
    let mut obstacles: Vec<String> = made(graph, verdicts).flat_map(|artifact| artifact.obstacles()).collect();
    obstacles.extend(short_of_room(cache, graph, verdicts)?);
    obstacles.sort();
    obstacles.dedup();
    match obstacles.len() {
        0 => Ok(()),
        1 => bail!("{}", obstacles[0]),
        n => bail!("{n} things stand in the way:\n  {}", obstacles.join("\n  ")),
    }
}

/// A sentence for each disk that is too full for what `verdicts` would make.
pub fn short_of_room(cache: &Cache, graph: &Graph, verdicts: &[Verdict]) -> Result<Vec<String>> {
    let mut needs: Vec<Need> = Vec::new();
    for artifact in made(graph, verdicts) {
        for room in artifact.room() {
            add(&mut needs, room.dir.as_deref().unwrap_or(cache.dir()), room.bytes, artifact.name())?;
        }
    }
    Ok(needs.iter().filter(|need| need.free < need.bytes).map(Need::sentence).collect())
}

fn made<'a>(graph: &'a Graph<'a>, verdicts: &'a [Verdict]) -> impl Iterator<Item = &'a dyn Artifact> {
    let list = graph.list.iter().zip(verdicts);
    list.filter(|(_, verdict)| matches!(verdict, Verdict::Make | Verdict::MakeAgain(_)))
        .map(|(planned, _)| planned.artifact)
}

/// What one file system must hold.
struct Need {
    device: u64,
    dir: PathBuf,
    bytes: u64,
    free: u64,
    names: Vec<String>,
}

impl Need {
    fn sentence(&self) -> String {
        format!(
            "{} has {} free, and making {} takes up to {}: free some (provision clean removes cached artifacts) or set PROVISION_CACHE to a larger disk",
            self.dir.display(),
            size(self.free),
            self.names.join(", "),
            size(self.bytes)
        )
    }
}

fn add(needs: &mut Vec<Need>, dir: &Path, bytes: u64, name: &str) -> Result<()> {
    // The folder may not exist yet; its nearest ancestor lies on the same disk.
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let device = there.metadata().with_context(|| format!("look at {}", there.display()))?.dev();
    let need = match needs.iter_mut().find(|need| need.device == device) {
        Some(need) => need,
        None => {
            let found = nix::sys::statvfs::statvfs(there)
                .with_context(|| format!("ask for the free space of {}", there.display()))?;
            let free = found.blocks_available() * found.fragment_size();
            needs.push(Need { device, dir: dir.to_owned(), bytes: 0, free, names: Vec::new() });
            needs.last_mut().context("a need was just added")?
        }
    };
    need.bytes += bytes;
    if !need.names.iter().any(|other| other == name) {
        need.names.push(name.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::artifact::{Artifact, Inputs, Making, Room};
    use crate::artifacts::programs::missing;

    struct Greedy(&'static str, &'static str, u64);

    impl Artifact for Greedy {
        fn name(&self) -> &str {
            self.0
        }

        fn title(&self) -> String {
            "Take all".into()
        }

        fn inputs(&self) -> Inputs {
            Inputs::new()
        }

        fn obstacles(&self) -> Vec<String> {
            missing(&[self.1, "sh"])
        }

        fn room(&self) -> Vec<Room> {
            vec![Room::in_cache(self.2)]
        }

        fn make(&self, _: &Path, _: &Making) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_missing_is_said_at_once_and_only_for_what_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("not/there/yet"));
        let all: [Box<dyn Artifact>; 3] = [
            Box::new(Greedy("a", "no-such-tool", 1 << 60)),
            Box::new(Greedy("b", "no-other-tool", 1 << 60)),
            Box::new(Greedy("c", "sh", 1)),
        ];
        let graph = Graph::of(&all).unwrap();
        let error = check(&cache, &graph, &[Verdict::Make, Verdict::Make, Verdict::Make]).unwrap_err().to_string();
        assert!(error.starts_with("3 things stand in the way:\n"), "{error}");
        assert!(error.contains("no-other-tool is not installed: type sudo apt install no-other-tool"), "{error}");
        assert!(error.contains("making a, b, c takes up to 2.31 EB: free some (provision clean"), "{error}");
        check(&cache, &graph, &[Verdict::NotNeeded, Verdict::Present { bytes: 1 }, Verdict::Make]).unwrap();
    }
}
