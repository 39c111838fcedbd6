//! A cluster for the promises of one test program (starting one takes seconds), and the agent's own way to it.

use anyhow::{Context, Result};
use c7n_agent::cluster::ClusterAccess;
use c7n_agent::config::Config;
use c7n_agent::lease::Fence;
use c7n_testbed::cluster::{ClusterHandle, ClusterOptions, LocalCluster, RealNode};
use clap::Parser;
use serde_json::Value;

pub struct Cluster {
    local: LocalCluster,
    pub access: ClusterAccess,
}

impl Cluster {
    pub async fn start(name: &str) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut options = ClusterOptions::new(format!("{name}-{}", std::process::id()));
        options.real_node = RealNode::Never;
        let local = LocalCluster::start(options).await?;
        let kubeconfig = local.kubeconfig().to_str().context("a plain path")?;
        let config = Config::try_parse_from([
            "c7n-agent",
            "--connect=ws://127.0.0.1:1/agent/",
            "--cluster-id=c1",
            "--kubeconfig",
            kubeconfig,
        ])?;
        let access = ClusterAccess::connect(&config, &Fence::open()).await?;
        Ok(Self { local, access })
    }

    pub fn kubectl(&self) -> &ClusterHandle {
        self.local.handle()
    }

    /// `kubectl` with these words; none of them has a space in it.
    pub async fn run(&self, line: &str) -> Result<String> {
        self.kubectl().kubectl(line.split(' ')).await
    }

    pub async fn get(&self, what: &str) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.run(&format!("get {what} -o json")).await?,
        )?)
    }
}
