use anyhow::Result;
use c7n_api::{Drift, Environment};

use super::Global;
use crate::output::{self, Format, dash};

#[derive(clap::Args)]
pub struct Show {
    name: String,
}

pub async fn run(global: &Global, show: Show) -> Result<()> {
    let client = global.client()?;
    let base = ["projects", global.project()?, "environments", &show.name];
    let environment: Environment = client.get(&base, &[]).await?;
    if global.output == Format::Table {
        let drift: Vec<Drift> = client.get(&[&base[..], &["drift"]].concat(), &[]).await?;
        print!("{}", card(&environment, &drift));
        return Ok(());
    }
    output::print_one(global.output, &environment)
}

fn card(environment: &Environment, drift: &[Drift]) -> String {
    let commits = &environment.commits;
    let mut rows = vec![
        (
            "environment",
            format!("{}/{}", environment.project, environment.name),
        ),
        (
            "cluster",
            format!("{}, namespace {}", environment.cluster, environment.namespace),
        ),
        ("phase", output::word(&environment.phase)),
        ("repository", environment.repository.ssh_url.clone()),
        ("", environment.repository.http_url.clone()),
        ("branch", environment.repository.branch.clone()),
        ("newest", dash(commits.newest.as_deref())),
        ("devops-sync", dash(commits.parsed.as_deref())),
        ("agent-sync", dash(commits.applied.as_deref())),
        (
            "converged",
            if environment.converged { "yes" } else { "no" }.to_owned(),
        ),
        ("health", super::health(environment)),
    ];
    if let Some(message) = &environment.message {
        rows.push(("message", message.clone()));
    }
    if environment.file_errors + environment.failed_objects > 0 {
        let told = format!(
            "{} in files, {} in objects; see `c7n env errors`",
            environment.file_errors, environment.failed_objects
        );
        rows.push(("errors", told));
    }
    if let Some(held) = &environment.held {
        let told = format!(
            "{} of {} objects would be deleted by {}; `c7n env confirm-deletions` lets it go ahead",
            held.count,
            held.total,
            output::short(Some(&held.commit))
        );
        rows.push(("held", told));
    }
    if let Some(last) = drift.first() {
        let told = format!(
            "{} {} was changed by hand and put back {} ago; see `c7n env drift`",
            last.object.kind,
            last.object.name,
            output::age(last.repaired_ms)
        );
        rows.push(("drift", told));
    }
    rows.into_iter()
        .map(|(name, value)| format!("{name:<12} {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use c7n_api::{Commits, EnvironmentPhase, HealthCounts, HeldDeletions, ObjectRef, Repository};

    #[test]
    fn a_card_tells_the_three_commits_and_what_is_held() {
        let environment = Environment {
            id: "1".into(),
            project: "shop".into(),
            cluster: "east".into(),
            name: "staging".into(),
            namespace: "shop-staging".into(),
            phase: EnvironmentPhase::Ready,
            message: None,
            repository: Repository {
                ssh_url: "ssh://git@127.0.0.1:2222/shop/staging.git".into(),
                http_url: "http://127.0.0.1:8080/git/shop/staging.git".into(),
                branch: "main".into(),
            },
            commits: Commits {
                newest: Some("b".repeat(40)),
                parsed: Some("b".repeat(40)),
                applied: Some("a".repeat(40)),
            },
            converged: false,
            file_errors: 1,
            failed_objects: 0,
            held: Some(HeldDeletions {
                commit: "b".repeat(40),
                count: 7,
                total: 9,
                objects: vec![],
            }),
            health: HealthCounts {
                healthy: 8,
                degraded: 1,
                ..HealthCounts::default()
            },
            stale: false,
            last_seen_ms: Some(0),
            created_ms: 0,
        };
        let drift = Drift {
            object: ObjectRef {
                group: "apps".into(),
                kind: "Deployment".into(),
                name: "web".into(),
            },
            file: None,
            fields: Vec::new(),
            repaired_ms: output::now_ms() - 5_000,
        };
        insta::assert_snapshot!(card(&environment, &[drift]));
    }
}
