//! Signed charts: the real `helm package --sign` signs with a key that the real `gpg` made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::charts::{ChartFolder, Packed};
use tokio::process::Command;

use super::{Scene, Wish};

/// A key pair of somebody. Its agent ends with it.
struct Keeper {
    name: &'static str,
    home: PathBuf,
}

impl Keeper {
    async fn new(folder: &Path, name: &'static str) -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let home = folder.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&home)?;
        let keeper = Self { name, home };
        let who = format!("{name} <{name}@example.com>");
        keeper
            .gpg(&[
                "--passphrase",
                "",
                "--quick-generate-key",
                &who,
                "rsa2048",
                "sign",
                "never",
            ])
            .await?;
        let secret = keeper.gpg(&["--export-secret-keys"]).await?;
        std::fs::write(keeper.secret_keys(), secret)?;
        Ok(keeper)
    }

    async fn gpg(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.home)
            .args(["--batch", "--yes", "--pinentry-mode", "loopback"])
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .context("running gpg, which this test needs (packages `gpg` and `gpg-agent`)")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "gpg {arguments:?}: {words}");
        Ok(output.stdout)
    }

    /// As a person puts them into the Secret.
    async fn public_keys(&self) -> Result<Vec<u8>> {
        self.gpg(&["--export"]).await
    }

    fn secret_keys(&self) -> PathBuf {
        self.home.join("secret.gpg")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Nothing depends on it but a process that would stay.
        let _ = std::process::Command::new("gpgconf")
            .arg("--homedir")
            .arg(&self.home)
            .args(["--kill", "all"])
            .status();
    }
}

impl Scene {
    /// Packs the chart `web` in this version with `helm`, signed; answers the archive and its provenance file.
    async fn signed(&self, keeper: &Keeper, version: &str) -> Result<(Packed, String)> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/web");
        let folder = self.stand.folder().join("signed");
        let keyring = keeper.secret_keys();
        self.helm(&[
            "package",
            &source.to_string_lossy(),
            "--version",
            version,
            "--destination",
            &folder.to_string_lossy(),
            "--sign",
            "--key",
            keeper.name,
            "--keyring",
            &keyring.to_string_lossy(),
        ])
        .await?;
        let file = format!("web-{version}.tgz");
        let archive = Packed {
            archive: std::fs::read(folder.join(&file))?,
            ..ChartFolder::fixture("web")?.at_version(version)?.pack()?
        };
        Ok((
            archive,
            std::fs::read_to_string(folder.join(format!("{file}.prov")))?,
        ))
    }

    fn serve_signed(&self, archive: Packed, provenance: &str) {
        let path = format!("/{}.prov", archive.file_name());
        self.serve(archive);
        self.charts.put(&path, provenance);
    }
}

#[tokio::test]
async fn only_what_a_known_key_signed_is_installed() -> Result<()> {
    let scene = Scene::new("signed").await?;
    let ada = Keeper::new(scene.stand.folder(), "ada").await?;
    let eve = Keeper::new(scene.stand.folder(), "eve").await?;
    scene
        .put_secret("keys", &[("keyring", &ada.public_keys().await?)])
        .await?;
    scene.put_secret("empty", &[("other", b"x")]).await?;
    scene.put_secret("junk", &[("keyring", b"no keys")]).await?;

    let (good, provenance) = scene.signed(&ada, "3.0.0").await?;
    scene.serve_signed(good, &provenance);
    let (unsigned, _) = scene.signed(&ada, "3.1.0").await?;
    scene.serve(unsigned);
    // The repository's keeper put another archive in place of it, and its digest into the index.
    let (_, provenance) = scene.signed(&ada, "3.2.0").await?;
    let other = ChartFolder::fixture("web")?.at_version("3.2.0")?;
    scene.serve_signed(other.with("values.yaml", "replicas: 9\n").pack()?, &provenance);
    // And here the digest in what was signed as well.
    let (altered, provenance) = scene.signed(&ada, "3.3.0").await?;
    let other = ChartFolder::fixture("web")?.at_version("3.3.0")?.pack()?;
    ensure!(provenance.contains(&altered.digest()), "{provenance}");
    let provenance = provenance.replace(&altered.digest(), &other.digest());
    scene.serve_signed(other, &provenance);
    let (strange, provenance) = scene.signed(&eve, "3.4.0").await?;
    scene.serve_signed(strange, &provenance);

    let wish = |name: &str, version: &str, keys: &str| {
        Wish::new(name, "web", version).with(&format!("provenance: {{keySecret: {keys}}}"))
    };
    let good = wish("good", "3.0.0", "keys");
    let cases = [
        ("unsigned", "3.1.0", "keys", "FetchFailed", "no provenance file"),
        (
            "swapped",
            "3.2.0",
            "keys",
            "SignatureInvalid",
            "signature does not hold",
        ),
        (
            "altered",
            "3.3.0",
            "keys",
            "SignatureInvalid",
            "signature does not hold",
        ),
        (
            "strange",
            "3.4.0",
            "keys",
            "SignatureInvalid",
            "signature does not hold",
        ),
        ("keyless", "3.0.0", "nowhere", "SecretMissing", "nowhere"),
        ("wordless", "3.0.0", "empty", "SecretMissing", "keyring"),
        ("junk", "3.0.0", "junk", "SignatureInvalid", "keyring"),
    ];
    let mut wishes = vec![good];
    wishes.extend(cases.iter().map(|case| wish(case.0, case.1, case.2)));
    scene
        .push(&wishes.iter().collect::<Vec<_>>(), "Signed and not")
        .await?;

    scene.deployed("good", 1).await?;
    for (name, _, _, reason, words) in cases {
        let status = scene.failed(name).await?;
        let told = status["lastError"].as_str().unwrap_or_default();
        ensure!(
            told.contains(words) && status["conditions"].to_string().contains(reason),
            "{name}: {status}"
        );
        eprintln!("{name}: {told}");
        ensure!(
            scene.environment.find("deployment", name).await?.is_none(),
            "{name} was installed"
        );
    }
    assert_eq!(scene.listed().await?, ["good"]);

    // What runs stays when its next version does not hold.
    scene.push(&[&wish("good", "3.2.0", "keys")], "Swapped").await?;
    let status = scene.failed("good").await?;
    ensure!(status.to_string().contains("SignatureInvalid"), "{status}");
    let history = scene.history("good").await?;
    assert_eq!(history, [(1, "deployed".to_owned())]);
    Ok(())
}

/// What `c7n` publishes with its provenance file is verified by plain helm and by the agent.
#[tokio::test]
async fn a_signature_is_published_with_its_chart() -> Result<()> {
    let scene = Scene::new("prov").await?;
    let folder = scene.stand.folder().join("signed");
    let ada = Keeper::new(scene.stand.folder(), "ada").await?;
    let eve = Keeper::new(scene.stand.folder(), "eve").await?;
    let cli = async |arguments: &[&str]| {
        let place = ["-p", scene.stand.project.as_str()];
        scene.stand.cli.run(&[arguments, &place].concat()).await
    };
    cli(&["app", "create", "web"]).await?;
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    scene.signed(&ada, "4.0.0").await?;
    scene.signed(&ada, "4.1.0").await?;
    scene.signed(&eve, "4.2.0").await?;

    // A provenance file of another archive is refused, and the version stays without one.
    let wrong = cli(&[
        "app",
        "publish",
        &file("web-4.0.0.tgz"),
        "--prov",
        &file("web-4.1.0.tgz.prov"),
    ])
    .await;
    let told = format!("{:#}", wrong.err().context("another archive's file was taken")?);
    ensure!(
        told.contains("without its provenance file") && told.contains("says nothing of web-4.0.0.tgz"),
        "{told}"
    );
    std::fs::rename(folder.join("web-4.1.0.tgz.prov"), folder.join("elsewhere.prov"))?;
    cli(&["app", "publish", &file("web-4.1.0.tgz")]).await?;
    // The one that lies beside the archive is found.
    for version in ["4.0.0", "4.2.0"] {
        cli(&["app", "publish", &file(&format!("web-{version}.tgz"))]).await?;
    }
    let listed = cli(&["app", "versions", "web"]).await?;
    ensure!(
        listed.contains("4.0.0 (signed)") && !listed.contains("4.1.0 (signed)"),
        "{listed}"
    );

    // Plain helm.
    let public = scene.stand.folder().join("public.gpg");
    std::fs::write(&public, ada.public_keys().await?)?;
    let (public, pulled) = (public.to_string_lossy(), file("pulled"));
    std::fs::create_dir_all(&pulled)?;
    let first = scene.stand.server.first_run();
    let repository = format!("{}/charts/{}", first.url, scene.stand.project);
    let pull = async |version: &str| {
        let what = ["pull", "web", "--repo", &repository, "--version", version];
        let who = ["--username", "any", "--password", &first.token];
        let how = ["--verify", "--keyring", &public, "--destination", &pulled];
        scene.helm(&[&what[..], &who, &how].concat()).await
    };
    pull("4.0.0").await?;
    for version in ["4.1.0", "4.2.0"] {
        ensure!(pull(version).await.is_err(), "{version} was taken");
    }

    // The agent.
    scene
        .put_secret("keys", &[("keyring", &ada.public_keys().await?)])
        .await?;
    let wish = |name: &str, version: &str| {
        Wish::new(name, "web", version)
            .at(&repository)
            .with("provenance: {keySecret: keys}")
    };
    let (good, strange) = (wish("good", "4.0.0"), wish("strange", "4.2.0"));
    scene.push(&[&good, &strange], "Signed").await?;
    scene.deployed("good", 1).await?;
    let status = scene.failed("strange").await?;
    ensure!(status.to_string().contains("SignatureInvalid"), "{status}");

    // The file that was missing is brought later.
    cli(&[
        "app",
        "publish",
        &file("web-4.1.0.tgz"),
        "--prov",
        &file("elsewhere.prov"),
    ])
    .await?;
    pull("4.1.0").await.map(drop)
}
