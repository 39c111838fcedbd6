//! Whose an object is: its own label says it, or that of the object which made it.

use std::collections::HashMap;

use c7n_api::LiveObject;

/// The objects of an environment, and what leads from one to another.
pub struct Family<'a> {
    pub objects: &'a [LiveObject],
    /// The object that made it, or for which it was made.
    pub parents: Vec<Option<usize>>,
    pub children: Vec<Vec<usize>>,
    claims: HashMap<(&'a str, &'a str), usize>,
}

impl<'a> Family<'a> {
    pub fn new(objects: &'a [LiveObject]) -> Self {
        let mut by_uid = HashMap::new();
        let mut claims = HashMap::new();
        // Claims of a StatefulSet are named CLAIM-STATEFULSET-NUMBER, and name no owner.
        let mut templates = HashMap::new();
        for (at, object) in objects.iter().enumerate() {
            by_uid.insert(object.uid.as_str(), at);
            let namespace = namespace(object);
            match (object.group.as_str(), object.kind.as_str()) {
                ("", "PersistentVolumeClaim") => {
                    claims.insert((namespace, object.name.as_str()), at);
                }
                ("apps", "StatefulSet") => {
                    for claim in names(object, "claims") {
                        templates.insert((namespace, format!("{claim}-{}", object.name)), at);
                    }
                }
                _ => {}
            }
        }
        let parent = |object: &LiveObject| {
            let owner = object
                .owners
                .iter()
                .find_map(|owner| by_uid.get(owner.uid.as_str()));
            let made_for = || match (object.group.as_str(), object.kind.as_str()) {
                ("", "PersistentVolumeClaim") => {
                    let (template, number) = object.name.rsplit_once('-')?;
                    number.parse::<u32>().ok()?;
                    templates.get(&(namespace(object), template.to_owned()))
                }
                ("", "PersistentVolume") => claims.get(&object.summary.get("claim")?.split_once('/')?),
                _ => None,
            };
            owner.or_else(made_for).copied()
        };
        let parents: Vec<Option<usize>> = objects.iter().map(parent).collect();
        let mut children = vec![Vec::new(); objects.len()];
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                children[*parent].push(at);
            }
        }
        Self {
            objects,
            parents,
            children,
            claims,
        }
    }

    /// For each object the instance that it belongs to; `None` for the environment's own.
    pub fn instances(&self) -> Vec<Option<&'a str>> {
        let mut known: Vec<Option<Option<&'a str>>> = self
            .objects
            .iter()
            .map(|object| own_word(object).map(Some))
            .collect();
        for at in 0..self.objects.len() {
            let mut path = Vec::new();
            let mut here = at;
            let found = loop {
                if let Some(found) = known[here] {
                    break found;
                }
                // Owners may name each other: nobody owns those.
                known[here] = Some(None);
                path.push(here);
                match self.parents[here] {
                    Some(parent) => here = parent,
                    None => break None,
                }
            };
            path.into_iter().for_each(|it| known[it] = Some(found));
        }
        known.into_iter().map(Option::flatten).collect()
    }

    /// Claims that a pod mounts.
    pub fn claims_of(&self, at: usize) -> impl Iterator<Item = usize> {
        let pod = &self.objects[at];
        names(pod, "claims").filter_map(|name| self.claims.get(&(namespace(pod), name)).copied())
    }
}

/// What an object says itself.
fn own_word(object: &LiveObject) -> Option<&str> {
    if is_release(object) {
        return Some(&object.name);
    }
    object.release.as_deref()
}

pub fn is_release(object: &LiveObject) -> bool {
    object.group == "choerodon.io" && object.kind == "C7NHelmRelease"
}

fn namespace(object: &LiveObject) -> &str {
    object.namespace.as_deref().unwrap_or_default()
}

fn names<'a>(object: &'a LiveObject, column: &str) -> impl Iterator<Item = &'a str> {
    object
        .summary
        .get(column)
        .into_iter()
        .flat_map(|names| names.split(", "))
}
