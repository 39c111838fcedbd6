//! Objects as people look at them: by instance, each below the one that made it.

use std::collections::BTreeMap;

use c7n_api::{Branch, InstanceDetail, LiveObject, ObjectTree};

use super::attribute::{Family, is_release};
use super::fold::{counts, instance, vitals};
use crate::store::AppCharts;

/// One instance with its objects. `None` if the environment has no such instance.
pub fn detail(objects: &[LiveObject], name: &str, apps: &AppCharts) -> Option<InstanceDetail> {
    let family = Family::new(objects);
    let instances = family.instances();
    let members: Vec<usize> = (0..objects.len())
        .filter(|at| instances[*at] == Some(name))
        .collect();
    if members.is_empty() {
        return None;
    }
    Some(InstanceDetail {
        instance: instance(&family, name, &members, &counts(&family), apps),
        tree: branches(&family, &instances, &members),
    })
}

/// All instances, and what belongs to none of them.
pub fn tree(objects: &[LiveObject], apps: &AppCharts) -> ObjectTree {
    let family = Family::new(objects);
    let instances = family.instances();
    let counts = counts(&family);
    let mut members: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (at, instance) in instances.iter().enumerate() {
        members.entry(*instance).or_default().push(at);
    }
    let own = members.remove(&None).unwrap_or_default();
    let details = members.iter().filter_map(|(name, members)| {
        Some(InstanceDetail {
            instance: instance(&family, (*name)?, members, &counts, apps),
            tree: branches(&family, &instances, members),
        })
    });
    ObjectTree {
        instances: details.collect(),
        environment: vitals(&family, &own, &counts),
        own: branches(&family, &instances, &own),
    }
}

/// The members of one instance; everything that nobody in it owns is below its `C7NHelmRelease`.
fn branches(family: &Family<'_>, instances: &[Option<&str>], members: &[usize]) -> Vec<Branch> {
    let mut growing = Growing {
        family,
        instances,
        shown: vec![false; family.objects.len()],
    };
    let is_top = |at: usize| family.parents[at].is_none_or(|parent| instances[parent] != instances[at]);
    let (releases, tops): (Vec<usize>, Vec<usize>) = members
        .iter()
        .copied()
        .filter(|at| is_top(*at) || is_release(&family.objects[*at]))
        .partition(|at| is_release(&family.objects[*at]));
    let mut grown = growing.branches(&releases);
    let mut rest = growing.branches(&tops);
    // Owners that name each other would hide themselves.
    rest.extend(growing.branches(members));
    match grown.first_mut() {
        Some(release) => release.owned.extend(rest),
        None => grown = rest,
    }
    grown
}

struct Growing<'a> {
    family: &'a Family<'a>,
    instances: &'a [Option<&'a str>],
    shown: Vec<bool>,
}

impl Growing<'_> {
    fn branches(&mut self, of: &[usize]) -> Vec<Branch> {
        let objects = self.family.objects;
        let mut of = of.to_vec();
        of.sort_by_key(|at| (&objects[*at].kind, &objects[*at].name));
        let mut grown = Vec::new();
        for at in of {
            if std::mem::replace(&mut self.shown[at], true) {
                continue;
            }
            let owned: Vec<usize> = self.family.children[at]
                .iter()
                .copied()
                .filter(|child| self.instances[*child] == self.instances[at])
                .collect();
            grown.push(Branch {
                object: objects[at].clone(),
                owned: self.branches(&owned),
            });
        }
        grown
    }
}
