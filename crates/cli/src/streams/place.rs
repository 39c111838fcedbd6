//! An environment: what a name means in it, and streams that are opened there.

use anyhow::{Context, Result, bail};
use c7n_api::{Branch, HealthStatus, InstanceDetail, LiveObject, NewStream, OpenedStream};

use crate::client::{Client, Refused};

#[derive(Clone)]
pub struct Place {
    pub client: Client,
    project: String,
    environment: String,
}

/// What a name on the command line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Pod(String),
    Instance(String),
}

impl Target {
    /// `pod/NAME` and `instance/NAME` say it themselves.
    fn told(name: &str) -> Option<Self> {
        match name.split_once('/')? {
            ("pod" | "pods" | "po", name) => Some(Self::Pod(name.to_owned())),
            ("instance" | "instances", name) => Some(Self::Instance(name.to_owned())),
            _ => None,
        }
    }
}

impl Place {
    pub fn new(client: Client, project: &str, environment: &str) -> Self {
        Self {
            client,
            project: project.to_owned(),
            environment: environment.to_owned(),
        }
    }

    /// The ticket of a new stream. It must be used within seconds.
    pub async fn open(&self, wish: &NewStream) -> Result<String> {
        let opened: OpenedStream = self.client.post(&self.path(&["streams"]), wish).await?;
        Ok(opened.ticket)
    }

    /// An instance or a pod; who is both must be told apart.
    pub async fn find(&self, name: &str) -> Result<Target> {
        if let Some(told) = Target::told(name) {
            return Ok(told);
        }
        if name.contains('/') || name.is_empty() {
            bail!("`{name}` is no name of a pod or an instance\n  next: `c7n env objects` shows both");
        }
        match self.instance(name).await? {
            None => Ok(Target::Pod(name.to_owned())),
            Some(_) if self.has_pod(name).await? => {
                bail!(
                    "`{name}` is an instance and a pod\n  next: say which one: `instance/{name}` or `pod/{name}`"
                )
            }
            Some(_) => Ok(Target::Instance(name.to_owned())),
        }
    }

    /// One pod: that of this name, or the first one of an instance that is ready; then it is told.
    pub async fn pod(&self, name: &str) -> Result<String> {
        let instance = match self.find(name).await? {
            Target::Pod(pod) => return Ok(pod),
            Target::Instance(instance) => instance,
        };
        let detail = self.instance(&instance).await?.with_context(|| {
            format!("there is no instance `{instance}`\n  next: `c7n instance list` shows them")
        })?;
        let mut pods = Vec::new();
        ready_pods(&detail.tree, &mut pods);
        pods.sort_unstable();
        let Some(pod) = pods.first() else {
            bail!(
                "no pod of instance `{instance}` is ready\n  next: `c7n instance show {instance}` tells why"
            );
        };
        match pods.len() {
            1 => eprintln!("c7n: pod {pod}"),
            count => eprintln!("c7n: pod {pod}, the first of {count} that are ready"),
        }
        Ok((*pod).to_owned())
    }

    async fn instance(&self, name: &str) -> Result<Option<InstanceDetail>> {
        match self.client.get(&self.path(&["instances", name]), &[]).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.downcast_ref::<Refused>() {
                // Also said of an environment that is not there; opening the stream tells that.
                Some(refused) if refused.0.status == 404 => Ok(None),
                _ => Err(error),
            },
        }
    }

    async fn has_pod(&self, name: &str) -> Result<bool> {
        let pods: Vec<LiveObject> = self
            .client
            .pages_of(&self.path(&["objects"]), &[("kind", "Pod"), ("limit", "500")])
            .await?;
        Ok(pods.iter().any(|pod| pod.name == name))
    }

    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let base = ["projects", &self.project, "environments", &self.environment];
        [&base, rest].concat()
    }
}

fn ready_pods<'a>(tree: &'a [Branch], found: &mut Vec<&'a str>) {
    for Branch { object, owned } in tree {
        // One that has done its work is healthy and has no process any more.
        if object.kind == "Pod"
            && object.group.is_empty()
            && object.health == HealthStatus::Healthy
            && object.summary.get("phase").is_none_or(|phase| phase == "Running")
        {
            found.push(&object.name);
        }
        ready_pods(owned, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_say_itself_what_it_is() {
        let told = |name| Target::told(name);
        assert_eq!(told("pod/web"), Some(Target::Pod("web".into())));
        assert_eq!(told("instance/web"), Some(Target::Instance("web".into())));
        assert_eq!(told("web"), None);
        assert_eq!(told("deployment/web"), None);
    }
}
