//! `cargo xtask demo`: the main job from nothing, each step told in a line with its time.

mod application;
mod instance;
mod story;
mod teller;

use std::path::PathBuf;

use anyhow::Result;
use c7n_testbed::cluster::{ClusterHandle, ClusterOptions, LocalCluster, Progress};
use c7n_testbed::programs::{cache_folder, packages};
use c7n_testbed::stack::Binaries;
use clap::Args;

use crate::build;
use teller::Teller;

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                         stays up until Ctrl-C and says what to try next
  cargo xtask demo --once                  ends by itself; status 0 when all went well
  cargo xtask demo --use-my-cluster        on the cluster of your KUBECONFIG; needs images that it can pull
      --image registry.example.com/app:1";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// End after the last step instead of waiting for Ctrl-C
    #[arg(long)]
    once: bool,
    /// The programs are built already
    #[arg(long, hide = true)]
    built: bool,
    /// Use the cluster of KUBECONFIG instead of one of our own
    #[arg(long)]
    use_my_cluster: bool,
    /// Context in that KUBECONFIG
    #[arg(long, requires = "use_my_cluster")]
    context: Option<String>,
    /// Image of the demo application, for a cluster that does not have ours
    #[arg(long)]
    image: Option<String>,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    let mut teller = Teller::new();
    packages::check_git_and_ssh()?;
    if !arguments.built {
        teller.say("building the server, the agent and the command line");
        build::programs(build::Profile::Dev).await?;
    }
    let binaries = Binaries::beside_me()?;
    teller.done("the three programs are built");

    let (handle, own) = if arguments.use_my_cluster {
        (ClusterHandle::of_user(arguments.context.clone()).await?, None)
    } else {
        teller.say("starting a Kubernetes cluster (the first time its programs are built, which takes 5 to 10 minutes)");
        let options = ClusterOptions {
            progress: Progress::Lines,
            ..ClusterOptions::new("demo")
        };
        let cluster = LocalCluster::start(options).await?;
        (cluster.handle().clone(), Some(cluster))
    };
    teller.done("the cluster is ready");

    let folder = Folder::new()?;
    // Whatever comes of the story, the cluster is taken down after it.
    let told = story::tell(&mut teller, &binaries, &handle, &folder.0, &arguments).await;
    if let Some(cluster) = own {
        teller.say("taking the cluster down");
        cluster.stop().await?;
    }
    told
}

/// A folder of this run alone, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = cache_folder()?.join(format!("demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover folder harms nothing; the next run has one of its own.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
