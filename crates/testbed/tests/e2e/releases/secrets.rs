//! What is secret in a release stays where it belongs: in its Secret, and in the values that its repository holds (faults 24, 25).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use c7n_testbed::stack::charts::ChartFolder;

use super::{Scene, Wish};

/// What must not be found, in every way in which it may be written.
#[derive(Clone)]
struct Canaries(Vec<String>);

impl Canaries {
    /// Of a text and of the text behind something in front of it, as in `user:password`.
    fn of(secrets: &[&str], pairs: &[&str]) -> Self {
        let plain = secrets.iter().map(|secret| (*secret).to_owned());
        let encoded = secrets
            .iter()
            .chain(pairs)
            .map(|secret| STANDARD.encode(secret).trim_end_matches('=').to_owned());
        let all: Vec<String> = plain.chain(encoded).collect();
        // The last digits depend on what follows.
        Self(
            all.into_iter()
                .map(|text| text[..text.len() - 2].to_owned())
                .collect(),
        )
    }

    fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        let text = String::from_utf8_lossy(bytes);
        self.0
            .iter()
            .find(|canary| text.contains(canary.as_str()))
            .map(String::as_str)
    }
}

/// Looks at the arguments of every process on this machine, again and again, as `ps` would.
struct Onlooker {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    looks: usize,
    /// Whether it saw the programs that it is about.
    workers: usize,
    leaks: BTreeMap<String, String>,
}

impl Onlooker {
    fn start(canaries: Canaries) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut seen = Seen::default();
            while !until.load(Ordering::Relaxed) {
                seen.look(&canaries);
                std::thread::sleep(Duration::from_millis(25));
            }
            seen
        });
        Self { stop, task }
    }

    async fn finish(self) -> Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

impl Seen {
    fn look(&mut self, canaries: &Canaries) {
        self.looks += 1;
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        // A process may go while it is looked at.
        for arguments in processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok()) {
            let text = String::from_utf8_lossy(&arguments);
            self.workers += usize::from(text.contains("c7n-helm"));
            if let Some(canary) = canaries.found_in(&arguments) {
                self.leaks.insert(canary.to_owned(), text.replace('\0', " "));
            }
        }
    }
}

#[tokio::test]
async fn no_secret_of_a_release_shows_anywhere_else() -> Result<()> {
    let scene = Scene::new("canary").await?;
    let mark = std::process::id();
    let of_values = format!("v4lues-{mark}-hidden-canary");
    let of_repository = format!("r3pository-{mark}-hidden-canary");
    let of_chart = format!("ch4rt-{mark}-hidden-canary");
    let canaries = Canaries::of(
        &[&of_values, &of_repository, &of_chart],
        &[&format!("ada:{of_repository}")],
    );
    let kept = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{{{ .Release.Name }}}}-kept\nstringData:\n  own: {of_chart}\n  given: {{{{ .Values.password | quote }}}}\n"
    );
    // The Secret that the API server refuses holds both.
    let refused = "{{- if eq .Values.wrong \"kept\" }}\napiVersion: v1\nkind: Secret\nmetadata:\n  name: bad\ntype: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: OWN{{ .Values.password }}\n{{- end }}\n"
        .replace("OWN", &of_chart);
    let chart = ChartFolder::fixture("secret")?
        .with("templates/kept.yaml", kept)
        .with("templates/refused.yaml", refused);
    scene.serve(chart.pack()?);
    scene.charts.require("ada", &of_repository);
    scene
        .put_secret(
            "repository",
            &[("username", b"ada"), ("password", of_repository.as_bytes())],
        )
        .await?;
    let onlooker = Onlooker::start(canaries.clone());
    let wish = |wrong: &str| {
        Wish::new("app", "secret", "1.0.0")
            .values(&format!("wrong: {wrong}\npassword: {of_values}"))
            .with("repoSecret: repository")
    };

    scene.push(&[&wish("none")], "Install").await?;
    scene.deployed("app", 1).await?;
    let made = scene.environment.get("secret", "app-kept").await?;
    assert_eq!(made["data"]["own"], STANDARD.encode(&of_chart));
    assert_eq!(made["data"]["given"], STANDARD.encode(&of_values));
    look_around(&scene, &canaries, "after the installation").await?;

    for wrong in ["type", "key", "label", "fail", "kept"] {
        scene.push(&[&wish(wrong)], &format!("Wrong: {wrong}")).await?;
        let status = scene.failed("app").await?;
        let told = status["lastError"].as_str().unwrap_or_default();
        ensure!(!told.is_empty(), "{wrong}: {status}");
        eprintln!("{wrong}: {told}");
        look_around(&scene, &canaries, wrong).await?;
    }

    // A password that is refused, and values that are no YAML.
    scene.charts.protect_nothing();
    scene.charts.require("ada", "another");
    let other = Wish::new("locked", "secret", "1.0.0").with("repoSecret: repository");
    let garbled = Wish::new("garbled", "secret", "1.0.0").values(&format!("password: [{of_values}"));
    scene.push(&[&other, &garbled], "Two more").await?;
    for name in ["locked", "garbled"] {
        scene.failed(name).await?;
    }
    look_around(&scene, &canaries, "refused and garbled").await?;

    for name in ["app", "locked", "garbled"] {
        scene.remove(name).await?;
    }
    for name in ["app", "locked", "garbled"] {
        scene.environment.disappears("c7nhelmrelease", name).await?;
    }
    scene.environment.disappears("secret", "app-kept").await?;
    look_around(&scene, &canaries, "after the removal").await?;

    let seen = onlooker.finish().await?;
    ensure!(
        seen.looks > 100 && seen.workers > 0,
        "the onlooker saw {} workers in {} looks",
        seen.workers,
        seen.looks
    );
    ensure!(seen.leaks.is_empty(), "in arguments: {:?}", seen.leaks);
    Ok(())
}

/// Everything that somebody sees who may not read Secrets and the repository.
async fn look_around(scene: &Scene, canaries: &Canaries, when: &str) -> Result<()> {
    let mut sights: Vec<(String, Vec<u8>)> = Vec::new();
    let (project, stand) = (scene.stand.project.as_str(), &scene.stand);
    for log in [stand.server.log(), stand.agents[0].log().to_path_buf()] {
        sights.push((log.display().to_string(), std::fs::read(&log)?));
    }
    // The platform's database with its journals.
    for file in files_in(&stand.server.data())? {
        if file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("c7n.db"))
        {
            sights.push((
                file.display().to_string(),
                std::fs::read(&file).unwrap_or_default(),
            ));
        }
    }
    ensure!(
        sights.len() > 2,
        "there is no database among {:?}",
        stand.server.data()
    );
    let questions: &[&[&str]] = &[
        &["env", "show", "staging"],
        &["env", "errors", "staging"],
        &["env", "objects", "staging"],
        &["env", "history", "staging"],
        &["env", "drift", "staging"],
        &["instance", "list", "-e", "staging"],
        &["cluster", "show", "east"],
        &["env", "get", "staging", "Secret", "app-kept"],
        &["env", "get", "staging", "Secret", "sh.helm.release.v1.app.v1"],
        &["instance", "show", "-e", "staging", "app"],
    ];
    for question in questions {
        // The last ones fail when there is nothing any more, and what they say then counts too.
        let output = stand
            .cli
            .output(&[question, ["-p", project, "-o", "json"].as_slice()].concat())
            .await?;
        let is_of_app = question.iter().any(|word| word.contains("app"));
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() || is_of_app, "c7n {question:?}: {words}");
        sights.push((
            format!("c7n {question:?}"),
            [output.stdout, output.stderr].concat(),
        ));
    }
    let events = scene.kubectl(&["get", "events", "-o", "json"]).await?;
    sights.push(("events".to_owned(), events.into_bytes()));
    let releases = scene
        .kubectl(&["get", "c7nhelmreleases", "-o", "jsonpath={.items[*].status}"])
        .await?;
    sights.push(("statuses".to_owned(), releases.into_bytes()));
    for (place, bytes) in sights {
        if let Some(canary) = canaries.found_in(&bytes) {
            let text = String::from_utf8_lossy(&bytes);
            let at = text.find(canary).context("it was there")?;
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.ceil_char_boundary((at + 200).min(text.len()));
            anyhow::bail!("{when}: {place} holds {canary}: …{}…", &text[from..to]);
        }
    }
    Ok(())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
