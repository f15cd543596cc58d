//! Memory, disk, CPUs and addresses for this profile's machines.

use anyhow::Result;

use super::{Asked, Finding, Host, Topic};
use crate::host::preflight::Misfits;

/// Memory, disk, CPUs, addresses; by the rule that `up` follows.
pub struct Room;

impl Topic for Room {
    fn title(&self, asked: &Asked) -> String {
        format!("room for lab `{}`", asked.profile.name)
    }

    fn look(&self, asked: &Asked, _: &Host) -> Result<Vec<Finding>> {
        let mut found: Vec<Finding> = match (asked.fit)()? {
            Ok(warnings) => {
                let slow = warnings.into_iter().map(|text| {
                    Finding::note(text).next("give the machines fewer CPUs: --cpus NUMBER, or cpus in the profile")
                });
                let fits = "its machines' memory, disks and addresses fit, or are there already";
                [Finding::ok(fits)].into_iter().chain(slow).collect()
            }
            Err(Misfits(misfits)) => misfits
                .into_iter()
                .map(|misfit| {
                    Finding::problem(format!("{}: {}; needed: {}", misfit.object, misfit.is, misfit.needed))
                        .next(misfit.next)
                })
                .collect(),
        };
        found.extend(asked.artifacts.short_of_room()?.into_iter().map(|text| {
            let (what, next) = text.split_once(": ").unwrap_or((&text, "make room there"));
            Finding::problem(what).next(next)
        }));
        Ok(found)
    }
}
