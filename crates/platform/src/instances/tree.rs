//! One instance with its objects, each below the one that made it.

use c7n_api::{Branch, InstanceDetail, LiveObject};

use super::attribute::{Family, is_release};
use super::fold::{counts, instance};

/// `None` if the environment has no such instance.
pub fn detail(objects: &[LiveObject], name: &str) -> Option<InstanceDetail> {
    let family = Family::new(objects);
    let is_member: Vec<bool> = family
        .instances()
        .into_iter()
        .map(|instance| instance == Some(name))
        .collect();
    let members: Vec<usize> = (0..objects.len()).filter(|at| is_member[*at]).collect();
    if members.is_empty() {
        return None;
    }
    let instance = instance(&family, name, &members, &counts(&family));
    let mut shown = vec![false; objects.len()];
    let is_top = |at: usize| family.parents[at].is_none_or(|parent| !is_member[parent]);
    let (releases, others): (Vec<usize>, Vec<usize>) = members
        .iter()
        .copied()
        .filter(|at| is_top(*at) || is_release(&objects[*at]))
        .partition(|at| is_release(&objects[*at]));
    let mut tree = branches(&family, &releases, &is_member, &mut shown);
    let mut rest = branches(&family, &others, &is_member, &mut shown);
    // Owners that name each other would hide themselves.
    rest.extend(branches(&family, &members, &is_member, &mut shown));
    match tree.first_mut() {
        Some(release) => release.owned.extend(rest),
        None => tree = rest,
    }
    Some(InstanceDetail { instance, tree })
}

fn branches(family: &Family<'_>, of: &[usize], is_member: &[bool], shown: &mut [bool]) -> Vec<Branch> {
    let mut of: Vec<usize> = of.iter().copied().filter(|at| is_member[*at]).collect();
    of.sort_by_key(|at| {
        let object = &family.objects[*at];
        (&object.kind, &object.name)
    });
    of.into_iter()
        .filter_map(|at| {
            if std::mem::replace(&mut shown[at], true) {
                return None;
            }
            Some(Branch {
                object: family.objects[at].clone(),
                owned: branches(family, &family.children[at], is_member, shown),
            })
        })
        .collect()
}
