//! Before a cluster joins: does everything fit? Asked from the shell into which the activation command will be pasted.
//!
//! `kubectl` and `helm` are the programs of the person who asks; the platform is asked as the agent will ask it. What is
//! found is judged without I/O in [`judge`]. Nothing is changed in the cluster (with `--in-cluster` a pod lives for seconds).

mod judge;
mod kubectl;
mod platform;

use anyhow::{Result, bail};
use c7n_api::Cluster;

use super::Global;
use crate::output::Format;
use judge::{Finding, Level};

#[derive(clap::Args)]
pub struct Doctor {
    /// The cluster's record, if it was created already
    name: Option<String>,
    /// Context of the kubeconfig; its current one if absent
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace that the chart will be installed into
    #[arg(long, value_name = "NAME", default_value = "choerodon")]
    namespace: String,
    /// Also ask from inside the cluster, by a pod that lives for seconds
    #[arg(long, requires = "image")]
    in_cluster: bool,
    /// Image of the agent, for that pod
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// That pod uses the node's network, as the agent does with `hostNetwork: true`
    #[arg(long, requires = "in_cluster")]
    host_network: bool,
}

pub async fn run(global: &Global, doctor: Doctor) -> Result<()> {
    let client = global.client()?;
    let cluster: Option<Cluster> = match &doctor.name {
        Some(name) => Some(
            client
                .get(&["projects", global.project()?, "clusters", name], &[])
                .await?,
        ),
        None => None,
    };
    let mut findings = vec![judge::helm(kubectl::helm_version().await.as_deref())];
    let base = client.base().clone();
    findings.extend(judge::platform(&platform::ask(&base).await));
    findings.push(judge::proxy(&platform::proxies(|name| std::env::var(name).ok())));

    let asker = kubectl::Asker::new(doctor.context.clone());
    match asker.version().await {
        Err(trouble) => findings.push(judge::unreachable(&trouble)),
        Ok(version) => {
            findings.push(judge::version(&asker.context_name().await, &version));
            findings.push(judge::clock(asker.clock().await));
            findings.extend(judge::rights(&asker.rights(&doctor.namespace).await));
            findings.push(judge::installed(
                &asker.installed().await,
                &doctor.namespace,
                cluster.as_ref().map(|cluster| cluster.id.as_str()),
            ));
            if doctor.in_cluster
                && let Some(image) = &doctor.image
            {
                let connect = platform::connect(&base);
                let network = match doctor.host_network {
                    true => kubectl::Network::Node,
                    false => kubectl::Network::Pod,
                };
                findings.push(judge::inside(
                    asker
                        .reach_from_inside(&doctor.namespace, image, &connect, network)
                        .await,
                ));
            }
        }
    }
    if let Some(cluster) = &cluster {
        findings.push(judge::record(cluster));
    }
    show(global.output, &findings)?;
    let failed = findings
        .iter()
        .filter(|finding| finding.level == Level::Fail)
        .count();
    if failed > 0 {
        bail!(
            "{failed} of {} checks failed; the words behind `next:` say what to do",
            findings.len()
        );
    }
    Ok(())
}

fn show(format: Format, findings: &[Finding]) -> Result<()> {
    if format == Format::Table {
        print!("{}", judge::text(findings));
    } else {
        print!("{}", crate::output::structured(format, &findings)?);
    }
    Ok(())
}
