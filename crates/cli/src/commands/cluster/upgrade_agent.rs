use std::time::Duration;

use anyhow::{Result, bail};
use c7n_api::{AgentUpgrade, Cluster, CommandState, NewAgentUpgrade};

use super::Global;
use crate::output::{self, Row, dash, now_ms, word};

const LOOK: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n cluster upgrade-agent -p shop east --image registry.example.com/c7n-agent:1.3.0
  c7n cluster upgrade-agent -p shop east --show

If the new version does not report in time, the agent takes the old one back. The next `helm upgrade` of its release sets the
image that its values name: give it the new one.")]
pub struct UpgradeAgent {
    name: String,
    /// Image of the new version, with tag or digest
    #[arg(long, value_name = "IMAGE", required_unless_present = "show")]
    image: Option<String>,
    /// How long it may take to report
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u32,
    /// Only show how the last upgrade stands
    #[arg(long, conflicts_with = "image")]
    show: bool,
}

pub async fn run(global: &Global, upgrade: UpgradeAgent) -> Result<()> {
    let (client, project) = (global.client()?, global.project()?);
    let path = ["projects", project, "clusters", &upgrade.name, "upgrade"];
    let Some(image) = upgrade.image else {
        let newest: AgentUpgrade = client.get(&path, &[]).await?;
        return output::print_one(global.output, &newest);
    };
    let body = NewAgentUpgrade {
        image,
        timeout_seconds: Some(upgrade.timeout),
    };
    let ordered: AgentUpgrade = client.post(&path, &body).await?;
    eprintln!("ordered; the new version has {} s to report", upgrade.timeout);
    let ended = loop {
        let newest: AgentUpgrade = client.get(&path, &[]).await?;
        if newest.id != ordered.id || newest.state != CommandState::Pending {
            break newest;
        }
        if now_ms() > ordered.deadline_ms + 10_000 {
            bail!("no result came in time\n  next: `c7n cluster show` tells whether the agent is connected");
        }
        tokio::time::sleep(LOOK).await;
    };
    output::print_one(global.output, &ended)?;
    if ended.state != CommandState::Succeeded {
        bail!(
            ended
                .message
                .unwrap_or_else(|| format!("it is {}", word(&ended.state)))
        );
    }
    let cluster: Cluster = client.get(&path[..4], &[]).await?;
    eprintln!("the agent is {} now", dash(cluster.agent_version.as_deref()));
    Ok(())
}

impl Row for AgentUpgrade {
    const HEAD: &'static [&'static str] = &["IMAGE", "STATE", "BY", "MESSAGE"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.image.clone(),
            word(&self.state),
            self.created_by.clone(),
            dash(self.message.as_deref()),
        ]
    }
}
