//! P8: logs and exec, beside `kubectl` that stands before the API server itself. Real containers on a real kubelet.
//!
//! Five questions: what a keystroke takes longer, whether a reader that stalls is felt by somebody else, how many bytes pass
//! in a second, whether a gibibyte arrives whole, and how it goes with a thousand readers at once.

mod copy;
mod crowd;
mod keystrokes;
mod throughput;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::{Kubectl, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::figures::{Times, report, round};
use crate::stage::{PROJECT, Stage};

const ENVIRONMENT: &str = "p8";
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that one exec brings, and what the logs of the two floods hold at least. The kubelet reads, stamps and sends each
/// line by itself, so that short lines measure the kubelet, and long ones what carries them.
const EXEC_BYTES: u64 = 256 << 20;
const LOG_BYTES: u64 = 160 << 20;

#[derive(clap::Args)]
pub struct Wanted {
    /// Of p8: only this part; can be given more than once
    #[arg(long = "part", value_enum)]
    parts: Vec<Part>,
    /// Of p8: readers of one log at once
    #[arg(long, default_value_t = 1000)]
    readers: usize,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    /// From a key to its echo
    Keystrokes,
    /// The same beside a reader that stalls
    Stalled,
    /// Bytes in a second
    Throughput,
    /// A gibibyte in and out, with checksums
    Copy,
    /// Many readers at once
    Crowd,
}

pub async fn run(kubeconfig: &Path, rounds: usize, wanted: &Wanted) -> Result<Value> {
    let wants = |part| wanted.parts.is_empty() || wanted.parts.contains(&part);
    let stand = Stand::set(kubeconfig).await?;
    let mut result = json!({"name": "p8"});

    if wants(Part::Keystrokes) {
        eprintln!("{rounds} keystrokes each, taking turns");
        let (ours, theirs) = keystrokes::alternating(&stand, rounds).await?;
        result = report("p8", &ours, Some(&theirs));
        result["added_p50_ms"] = json!(round(ours.percentile(0.5) - theirs.percentile(0.5)));
        result["floor_p99_ms"] = json!(round(theirs.percentile(0.99)));
        eprintln!("so far: {result}");
    }
    if wants(Part::Stalled) {
        eprintln!("the same beside a reader that stalls");
        let felt = keystrokes::beside_a_stalled_reader(&stand, rounds).await?;
        result["calm_p99_ms"] = json!(round(felt.calm.percentile(0.99)));
        result["stalled_p99_ms"] = json!(round(felt.stalled.percentile(0.99)));
        result["calm_again_p99_ms"] = json!(round(felt.calm_again.percentile(0.99)));
        eprintln!("so far: {result}");
    }
    if wants(Part::Throughput) {
        for (name, way) in [
            ("exec", throughput::Way::Exec),
            ("logs", throughput::Way::Log("flood")),
            ("long_lines", throughput::Way::Log("river")),
        ] {
            eprintln!("throughput of {name}");
            let (ours, floor) = throughput::alternating(&stand, way).await?;
            result[format!("{name}_mb_s")] = json!(round(ours));
            result[format!("{name}_floor_mb_s")] = json!(round(floor));
            result[format!("{name}_ratio")] = json!(round(ours / floor));
        }
        eprintln!("so far: {result}");
    }
    if wants(Part::Copy) {
        eprintln!("a gibibyte in and out");
        result["copy"] = copy::measure(&stand).await?;
        eprintln!("so far: {result}");
    }
    if wants(Part::Crowd) {
        result["crowd"] = crowd::measure(&stand, kubeconfig, wanted.readers).await?;
    }
    stand.stage.clear().await?;
    Ok(result)
}

struct Stand {
    stage: Stage,
    kubectl: Kubectl,
    namespace: String,
}

impl Stand {
    async fn set(kubeconfig: &Path) -> Result<Self> {
        let stage = Stage::set(kubeconfig).await?;
        let (environment, copy) = stage.create(ENVIRONMENT).await?;
        copy.write("pods.yaml", PODS)?;
        let commit = copy
            .publish("A pod to type in, one that floods, one that ticks")
            .await?;
        stage.converges(ENVIRONMENT, &commit).await?;
        let kubectl = Kubectl::new(&programs::ensure(Program::Kubectl).await?, kubeconfig, None);
        let stand = Self {
            stage,
            kubectl,
            namespace: environment.namespace,
        };
        stand.running().await?;
        Ok(stand)
    }

    async fn running(&self) -> Result<()> {
        let arguments = ["get", "pods", "-n", &self.namespace];
        eventually("the pods run and the flood is over", PATIENCE, || async {
            let pods = self.kubectl.json(&arguments).await?;
            let running = pods["items"]
                .as_array()
                .context("no list of pods")?
                .iter()
                .filter(|pod| pod["status"]["phase"] == "Running")
                .count();
            ensure!(running == 4, "{running} of 4 run");
            for pod in ["cell", "flood", "river"] {
                let last = self
                    .kubectl
                    .run(&["logs", "-n", &self.namespace, pod, "--tail=1"])
                    .await?;
                ensure!(last.trim() == "dry", "{pod} is not ready yet");
            }
            Ok(())
        })
        .await
    }

    /// `c7n` with these arguments in this environment; what comes behind `--` stays there.
    fn ours(&self, verb: &str, arguments: &[&str]) -> Command {
        let head = [verb, "-p", PROJECT, "--env", ENVIRONMENT];
        self.stage.cli.command(&[&head, arguments].concat())
    }

    fn theirs(&self, verb: &str, arguments: &[&str]) -> Command {
        let head = [verb, "-n", &self.namespace];
        self.kubectl.command(&[&head, arguments].concat())
    }
}

/// Of two programs that take turns.
type Both = (Times, Times);

const PODS: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: cell}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: store, emptyDir: {}}]
  containers:
    - name: cell
      image: "c7n.local/sample:1"
      imagePullPolicy: IfNotPresent
      volumeMounts: [{name: store, mountPath: /store}]
      # The program that makes the bytes is too slow to be measured with.
      command: [sh, -c, "head -c 268435456 /dev/zero > /store/zeros; echo dry; sleep 86400"]
---
apiVersion: v1
kind: Pod
metadata: {name: flood}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: flood
      image: "c7n.local/sample:1"
      imagePullPolicy: IfNotPresent
      command:
        - sh
        - -c
        - |
          l=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
          b="$l$l"
          for i in 1 2 3 4 5 6 7 8 9; do b="$b
          $b"; done
          i=0
          while [ $i -lt 2600 ]; do echo "$b"; i=$((i+1)); done
          echo dry
          sleep 86400
---
apiVersion: v1
kind: Pod
metadata: {name: river}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: river
      image: "c7n.local/sample:1"
      imagePullPolicy: IfNotPresent
      command:
        - sh
        - -c
        - |
          b=0123456789abcdef
          for i in 1 2 3 4 5 6 7 8 9; do b="$b$b"; done
          i=0
          while [ $i -lt 20600 ]; do echo "$b"; i=$((i+1)); done
          echo dry
          sleep 86400
---
apiVersion: v1
kind: Pod
metadata: {name: clock}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: clock
      image: "c7n.local/sample:1"
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "i=0; while :; do i=$((i+1)); echo tick $i; sleep 1; done"]
"#;
