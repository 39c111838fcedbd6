//! `c7n cp` with containers that lack what it works with.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::processes::piped;
use super::{Scene, complaint};

/// The busybox of the containers, but for its tar: a name of the same length at the same place of the list, which is sorted.
fn busybox_without_tar(mut busybox: Vec<u8>) -> Result<Vec<u8>> {
    let tar = b"\0tar\0";
    let found: Vec<usize> = busybox
        .windows(tar.len())
        .enumerate()
        .filter_map(|(at, bytes)| (bytes == tar).then_some(at))
        .collect();
    ensure!(
        found.len() == 1,
        "the list of its programs is not known: {found:?}"
    );
    busybox[found[0] + tar.len() - 2] = b'o';
    Ok(busybox)
}

impl Scene {
    /// A pod that finds its programs here alone.
    async fn pod_with_path(&self, name: &str, path: &str) -> Result<()> {
        let pod = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name, "namespace": self.environment.namespace },
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "app",
                    "image": "c7n.local/sample:1",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/bin/sh", "-c", "trap exit TERM; while :; do /bin/sleep 1; done"],
                    "env": [{ "name": "PATH", "value": path }],
                }],
            },
        });
        self.environment.kubectl.apply(&pod.to_string()).await?;
        self.runs(name).await
    }
}

#[tokio::test]
async fn without_tar_files_are_copied_and_folders_are_not() -> Result<()> {
    let Some(scene) = Scene::open("no-tar").await? else {
        return Ok(());
    };
    scene.pod_with_path("bare", "/tmp/tools").await?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let busybox = scene
        .output("exec", &["bare", "--", "/bin/cat", "/bin/busybox"])
        .await?
        .stdout;
    let install = "/bin/mkdir /tmp/tools && /bin/cat > /tmp/tools/sh && /bin/busybox chmod 755 /tmp/tools/sh";
    let script = ["-i", "bare", "--", "/bin/sh", "-c", install];
    piped(&scene, &script, &busybox_without_tar(busybox)?).await?;
    let tar = ["bare", "--", "sh", "-c", "command -v tar || echo none"];
    ensure!(scene.run("exec", &tar).await? == "none\n");

    // A file, there and back.
    let noise: Vec<u8> = (0..1_000_000_u32)
        .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(at("file"), &noise)?;
    let sum = c7n_pack::sha256(&noise);
    let told = |output: &std::process::Output| {
        let complaint = complaint(output);
        output.status.success()
            && complaint.contains("the container has no tar: the file is copied by cat")
            && complaint.contains("checked by SHA-256")
    };
    let output = scene.output("cp", &[&at("file"), "bare:/tmp/a file"]).await?;
    ensure!(told(&output), "{output:?}");
    let there = ["bare", "--", "sh", "-c", "sha256sum < '/tmp/a file'"];
    let there = scene.run("exec", &there).await?;
    ensure!(there.starts_with(&sum), "{there}");
    let output = scene.output("cp", &["bare:/tmp/a file", &at("back")]).await?;
    ensure!(told(&output), "{output:?}");
    ensure!(c7n_pack::sha256(&fs::read(at("back"))?) == sum);
    // And one with nothing in it.
    fs::write(at("empty"), "")?;
    scene.run("cp", &[&at("empty"), "bare:/tmp"]).await?;
    scene.run("cp", &["bare:/tmp/empty", &at("nothing")]).await?;
    ensure!(fs::read(at("nothing"))?.is_empty());

    // A folder, neither there nor back, and nothing of it is left.
    fs::create_dir(at("tree"))?;
    fs::write(at("tree/leaf"), "leaf")?;
    for (from, to) in [
        (at("tree").as_str(), "bare:/tmp/tree"),
        ("bare:/tmp/tools", at("copy").as_str()),
    ] {
        let output = scene.output("cp", &[from, to]).await?;
        let words = complaint(&output);
        ensure!(
            output.status.code() == Some(1)
                && words.contains("the container has no tar, and without it no folder can be copied")
                && words.contains("next: copy its files one by one"),
            "{output:?}"
        );
    }
    ensure!(fs::symlink_metadata(at("copy")).is_err());
    let look = ["bare", "--", "sh", "-c", "[ -e /tmp/tree ] || echo none"];
    ensure!(scene.run("exec", &look).await? == "none\n");
    Ok(())
}

#[tokio::test]
async fn without_shell_and_tar_it_is_told_what_is_missing() -> Result<()> {
    let Some(scene) = Scene::open("no-shell").await? else {
        return Ok(());
    };
    scene.pod_with_path("empty", "/nowhere").await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "x")?;
    let file = file.to_str().context("a plain path")?;
    let copy = folder.path().join("copy");
    for (from, to) in [
        ("empty:/etc/passwd", copy.to_str().context("a plain path")?),
        (file, "empty:/tmp/file"),
    ] {
        let output = scene.output("cp", &[from, to]).await?;
        let words = complaint(&output);
        ensure!(
            output.status.code() == Some(1)
                && words.contains("the container has neither a shell nor tar")
                && words.contains("next: name a container of the pod that has them with `-c`"),
            "{output:?}"
        );
    }
    ensure!(!copy.exists());
    Ok(())
}
