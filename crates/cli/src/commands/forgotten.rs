//! Says plainly what a deletion without the agent leaves in the cluster.

use anyhow::Result;
use c7n_api::{Forgotten, LeftBehind};

use super::Global;
use crate::output::{self, Format, age};

pub fn print(global: &Global, left: &Forgotten) -> Result<()> {
    match global.output {
        Format::Table => print!("{}", text(left)),
        format => print!("{}", output::structured(format, left)?),
    }
    Ok(())
}

fn text(left: &Forgotten) -> String {
    if left.stays.is_empty() {
        return "nothing of it is in a cluster, as far as is known\n".to_owned();
    }
    let mut text = "what stays in the cluster, untouched:\n".to_owned();
    for left in &left.stays {
        text.push_str(&line(left));
    }
    text.push_str(
        "nobody delivers to it any more. To remove it, delete the namespaces there; for another environment to take one over,\n\
         take off its label first: `kubectl label namespace NAME choerodon.io/env-`\n",
    );
    text
}

fn line(left: &LeftBehind) -> String {
    let LeftBehind {
        environment,
        cluster,
        namespace,
        objects,
        ..
    } = left;
    let seen = left
        .last_seen_ms
        .map_or_else(String::new, |seen| format!(", as seen {} ago", age(seen)));
    format!(
        "  {environment}: namespace {namespace} of cluster {cluster} with {objects} delivered objects{seen}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_named_with_its_place() {
        let left = |environment: &str, objects| LeftBehind {
            environment: environment.into(),
            cluster: "east".into(),
            namespace: format!("shop-{environment}"),
            objects,
            last_seen_ms: None,
        };
        let stays = vec![left("live", 12), left("staging", 0)];
        insta::assert_snapshot!("forgotten", text(&Forgotten { stays }));
        assert!(text(&Forgotten { stays: Vec::new() }).starts_with("nothing of it"));
    }
}
