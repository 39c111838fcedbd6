//! The client against a chart repository over HTTP that is good, and then bad in every way that has been seen.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use c7n_charts::index::IndexBudget;
use c7n_charts::{
    ChartClient, ChartClientOptions, ChartRef, Credentials, Digest, Fetched, Provenance, RepositoryError,
};
use c7n_testbed::stack::charts::Packed;
use c7n_testbed::stack::{Authority, ChartServer, Fault, TlsEnd};
use tokio::time::timeout;

use crate::pack::Pack;

/// A client that asks the repository each time.
pub fn client(cache: &Path) -> ChartClient {
    client_with(cache, Duration::from_secs(60))
}

fn client_with(cache: &Path, deadline: Duration) -> ChartClient {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ChartClient::new(ChartClientOptions {
        index_fresh: Duration::ZERO,
        deadline,
        ..ChartClientOptions::new(cache)
    })
    .unwrap()
}

pub fn chart(name: &str, version: &str) -> Packed {
    archive(name, version, Pack::chart(name, version).tgz())
}

/// As it would be listed; what the archive holds is another matter.
fn archive(name: &str, version: &str, archive: Vec<u8>) -> Packed {
    Packed {
        name: name.to_owned(),
        version: version.to_owned(),
        definition: format!("apiVersion: v2\nname: {name}\nversion: {version}\n"),
        archive,
    }
}

pub fn reference(repo_url: &str, version: &str) -> ChartRef {
    ChartRef {
        repo_url: repo_url.to_owned(),
        name: "web".to_owned(),
        version: version.to_owned(),
    }
}

struct Ground {
    server: ChartServer,
    folder: tempfile::TempDir,
    client: ChartClient,
}

impl Ground {
    async fn with(charts: &[Packed]) -> Result<Self> {
        let server = ChartServer::start().await?;
        server.put_charts(charts);
        let folder = tempfile::tempdir()?;
        let client = client(folder.path());
        Ok(Self {
            server,
            folder,
            client,
        })
    }

    async fn fetch(
        &self,
        version: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Fetched, RepositoryError> {
        let wanted = reference(&self.server.url(), version);
        self.client
            .fetch(&wanted, credentials, Provenance::Unwanted)
            .await
    }

    async fn refusal(&self, version: &str) -> String {
        match self.fetch(version, None).await {
            Ok(fetched) => panic!("{fetched:?} was fetched"),
            Err(error) => error.to_string(),
        }
    }

    /// `PATH STATUS` of the requests since the last time.
    fn asked(&self) -> Vec<String> {
        let received = self.server.received();
        received
            .iter()
            .map(|r| format!("{} {}", r.path, r.status))
            .collect()
    }
}

#[tokio::test]
async fn a_chart_is_fetched_once() -> Result<()> {
    let charts = [
        chart("web", "1.0.0"),
        chart("web", "1.1.0+build.7"),
        chart("web", "2.0.0-rc.1"),
    ];
    let ground = Ground::with(&charts).await?;

    let newest = ground.fetch("", None).await?;

    assert_eq!(newest.resolved_version, "1.1.0+build.7");
    assert_eq!(newest.digest, Digest::of(&charts[1].archive));
    assert_eq!(std::fs::read(&newest.archive)?, charts[1].archive);
    assert_eq!(newest.archive.file_name().unwrap(), "web-1.1.0+build.7.tgz");
    assert_eq!(ground.asked(), ["/index.yaml 200", "/web-1.1.0+build.7.tgz 200"]);

    // The index is asked whether it has changed; the archive is here.
    assert_eq!(ground.fetch("^1", None).await?, newest);
    assert_eq!(ground.asked(), ["/index.yaml 304"]);

    // Another client on the same folder knows as much.
    let again = client(ground.folder.path());
    let wanted = reference(&ground.server.url(), "1.1.0+build.7");
    assert_eq!(again.fetch(&wanted, None, Provenance::Unwanted).await?, newest);
    assert_eq!(ground.asked(), ["/index.yaml 304"]);

    let versions = again.versions(&ground.server.url(), "web", None).await?;
    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
    assert_eq!(versions, ["2.0.0-rc.1", "1.1.0+build.7", "1.0.0"]);
    Ok(())
}

#[tokio::test]
async fn a_fresh_index_is_asked_again_only_for_what_is_not_in_it() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    let mut options = ChartClientOptions::new(ground.folder.path());
    options.index_fresh = Duration::from_secs(60);
    let client = ChartClient::new(options)?;
    let wanted = |version| reference(&ground.server.url(), version);
    client.fetch(&wanted("1.0.0"), None, Provenance::Unwanted).await?;
    ground.asked();

    // A hundred at once.
    let fetches = (0..100).map(|_| {
        let (client, wanted) = (client.clone(), wanted("1.0.0"));
        tokio::spawn(async move { client.fetch(&wanted, None, Provenance::Unwanted).await })
    });
    for fetch in fetches.collect::<Vec<_>>() {
        fetch.await??;
    }
    assert_eq!(ground.asked(), [""; 0]);

    ground
        .server
        .put_charts(&[chart("web", "1.0.0"), chart("web", "1.0.1")]);
    client.fetch(&wanted("1.0.1"), None, Provenance::Unwanted).await?;
    assert_eq!(ground.asked(), ["/index.yaml 200", "/web-1.0.1.tgz 200"]);
    Ok(())
}

#[tokio::test]
async fn credentials_are_needed_checked_and_told_apart() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    ground.server.require("ada", "hunter2");
    let right = Credentials::basic("ada", "hunter2");

    let missing = ground.refusal("1.0.0").await;
    assert!(missing.contains("asks for credentials"), "{missing}");
    let wrong = ground
        .fetch("1.0.0", Some(&Credentials::basic("ada", "hunter3")))
        .await;
    let wrong = wrong.unwrap_err().to_string();
    assert!(
        wrong.contains("refuses the credentials (401)") && !wrong.contains("hunter"),
        "{wrong}"
    );
    ground.fetch("1.0.0", Some(&right)).await?;

    // What is in the cache for one is not there for another: neither an index that is fresh, nor what is kept for bad times.
    let mut options = ChartClientOptions::new(ground.folder.path());
    options.index_fresh = Duration::from_secs(60);
    let patient = ChartClient::new(options)?;
    let wanted = reference(&ground.server.url(), "1.0.0");
    patient.fetch(&wanted, Some(&right), Provenance::Unwanted).await?;
    let stranger = patient.fetch(&wanted, None, Provenance::Unwanted).await;
    assert!(
        matches!(stranger, Err(RepositoryError::CredentialsWanted { .. })),
        "{stranger:?}"
    );
    ground.server.protect_nothing();
    ground.server.fail("/index.yaml", Fault::Status(503));
    assert!(ground.fetch("1.0.0", Some(&right)).await.is_ok());
    assert!(ground.fetch("1.0.0", None).await.is_err());
    for file in walk(ground.folder.path()) {
        let content = std::fs::read(&file)?;
        let holds = |word: &[u8]| content.windows(word.len()).any(|window| window == word);
        assert!(!holds(b"hunter2"), "{} holds the password", file.display());
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_host_gets_no_credentials() -> Result<()> {
    let web = chart("web", "1.0.0");
    let ground = Ground::with(std::slice::from_ref(&web)).await?;
    let other = ChartServer::start().await?;
    other.put("/elsewhere.tgz", web.archive.clone());
    // And back again: whoever is in between has chosen that address.
    let back = format!("{}/back.tgz", ground.server.url());
    let ada = Credentials::basic("ada", "hunter2");
    ground.server.fail(
        "/web-1.0.0.tgz",
        Fault::Redirect(format!("{}/elsewhere.tgz", other.url())),
    );

    ground.fetch("1.0.0", Some(&ada)).await?;

    let here = ground.server.received();
    assert!(
        here.iter()
            .all(|request| request.headers.contains_key("authorization"))
    );
    let there = other.received();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].headers.get("authorization"), None);
    assert!(!format!("{there:?}").contains("hunter2"));

    ground.server.put("/back.tgz", web.archive.clone());
    other.fail("/elsewhere.tgz", Fault::Redirect(back));
    let folder = tempfile::tempdir()?;
    let wanted = reference(&ground.server.url(), "1.0.0");
    client(folder.path())
        .fetch(&wanted, Some(&ada), Provenance::Unwanted)
        .await?;
    let here = ground.server.received();
    assert_eq!(
        here.last()
            .map(|last| (last.path.as_str(), last.headers.get("authorization"))),
        Some(("/back.tgz", None))
    );
    Ok(())
}

#[tokio::test]
async fn an_index_that_points_elsewhere_gets_no_credentials_there() -> Result<()> {
    let ground = Ground::with(&[]).await?;
    let other = ChartServer::start().await?;
    let web = chart("web", "1.0.0");
    other.put("/w.tgz", web.archive.clone());
    ground.server.put(
        "/index.yaml",
        format!(
            "apiVersion: v1\nentries:\n  web:\n  - {{name: web, version: 1.0.0, urls: [{}/w.tgz]}}\n",
            other.url()
        ),
    );

    let fetched = ground
        .fetch("1.0.0", Some(&Credentials::token("hunter2")))
        .await?;

    assert_eq!(fetched.digest, Digest::of(&web.archive));
    assert_eq!(
        ground.server.received()[0].headers["authorization"],
        "Bearer hunter2"
    );
    assert_eq!(other.received()[0].headers.get("authorization"), None);
    Ok(())
}

#[tokio::test]
async fn bad_redirects_are_not_followed() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    let own = format!("{}/web-1.0.0.tgz", ground.server.url());
    for (target, words) in [
        (own.as_str(), "redirects too often"),
        ("file:///etc/passwd", "to something that is not HTTP"),
        (
            "http://169.254.169.254/latest/meta-data",
            "169.254.169.254 is an address that no repository may have",
        ),
        (
            "http://user:hunter2@127.0.0.1/",
            "carries a user name or password",
        ),
    ] {
        ground
            .server
            .fail("/web-1.0.0.tgz", Fault::Redirect(target.to_owned()));
        let refusal = ground.refusal("1.0.0").await;
        assert!(
            refusal.contains(words) && !refusal.contains("hunter2"),
            "{words:?} is not in {refusal:?}"
        );
    }
    assert!(ground.asked().len() < 20);
    Ok(())
}

#[tokio::test]
async fn what_is_not_as_told_is_refused() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0"), chart("web", "2.0.0")]).await?;
    let fault = |fault| ground.server.fail("/web-1.0.0.tgz", fault);

    fault(Fault::OtherBytes);
    assert!(ground.refusal("1.0.0").await.contains("was told; it was changed"));
    fault(Fault::Status(500));
    let refusal = ground.refusal("1.0.0").await;
    assert!(
        refusal.contains("answered 500; the repository is out of order") && !refusal.contains("own words"),
        "{refusal}"
    );
    fault(Fault::Status(404));
    assert!(ground.refusal("1.0.0").await.contains("is not there (404)"));
    fault(Fault::Truncated);
    assert!(ground.refusal("1.0.0").await.contains("cannot be reached"));
    ground.server.heal();

    // The address of one version with the archive of another, and no digest to tell.
    let two = chart("web", "2.0.0").archive;
    ground.server.put("/w.tgz", two);
    ground.server.put(
        "/index.yaml",
        "apiVersion: v1\nentries:\n  web:\n  - {name: web, version: 1.0.0, urls: [w.tgz]}\n",
    );
    assert!(
        ground
            .refusal("1.0.0")
            .await
            .contains("holds the chart web 2.0.0, and web 1.0.0 was asked for")
    );

    // Nothing of all that was kept.
    assert_eq!(
        walk(&ground.folder.path().join("charts")),
        Vec::<std::path::PathBuf>::new()
    );
    assert_eq!(
        walk(&ground.folder.path().join("tmp")),
        Vec::<std::path::PathBuf>::new()
    );
    Ok(())
}

#[tokio::test]
async fn slow_silent_and_endless_servers_are_left() -> Result<()> {
    let mut ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    // Who sends too much is left because of that, however slow the machine is; who sends too little, soon.
    let (soon, late) = (Duration::from_secs(2), Duration::from_secs(120));
    for (path, fault, deadline, words) in [
        ("/index.yaml", Fault::Slow, soon, "did not answer within 2 s"),
        ("/index.yaml", Fault::Silent, soon, "did not answer within 2 s"),
        (
            "/index.yaml",
            Fault::Endless,
            late,
            "sends more than 67108864 bytes",
        ),
        ("/web-1.0.0.tgz", Fault::Slow, soon, "did not answer within 2 s"),
        (
            "/web-1.0.0.tgz",
            Fault::Endless,
            late,
            "sends more than 20971520 bytes",
        ),
    ] {
        ground.server.heal();
        ground.server.fail(path, fault.clone());
        ground.client = client_with(ground.folder.path(), deadline);
        let refusal = timeout(2 * late, ground.refusal("1.0.0")).await?;
        assert!(refusal.contains(words), "{path} {fault:?}: {refusal}");
    }
    Ok(())
}

#[tokio::test]
async fn hostile_archives_are_refused_with_their_address() -> Result<()> {
    let ground = Ground::with(&[]).await?;
    let mut bomb = Pack::chart("web", "1.0.0");
    for at in 0..25 {
        bomb = bomb.file(&format!("web/{at}"), vec![0; 5 << 20]);
    }
    for (pack, words) in [
        (
            Pack::chart("web", "1.0.0").file("web/../../x", ""),
            "leaves the chart's folder",
        ),
        (
            Pack::chart("web", "1.0.0").entry("web/values.yaml", b'2', "/etc/passwd", b""),
            "is a symbolic link",
        ),
        (
            Pack::chart("web", "1.0.0").header("web/x", b'0', "", 2 << 30),
            "has 2147483648 bytes",
        ),
        (bomb, "bytes when unpacked"),
    ] {
        ground.server.put_charts(&[archive("web", "1.0.0", pack.tgz())]);
        let refusal = ground.refusal("1.0.0").await;
        assert!(
            refusal.contains(words) && refusal.contains("/web-1.0.0.tgz"),
            "{words:?} is not in {refusal:?}"
        );
    }
    assert_eq!(
        walk(&ground.folder.path().join("charts")),
        Vec::<std::path::PathBuf>::new()
    );
    Ok(())
}

#[tokio::test]
async fn provenance_is_fetched_when_asked_for() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    let wanted = reference(&ground.server.url(), "1.0.0");

    let missing = ground
        .client
        .fetch(&wanted, None, Provenance::Wanted)
        .await
        .unwrap_err()
        .to_string();
    assert!(missing.contains("no provenance file for web 1.0.0"), "{missing}");

    ground.server.put("/web-1.0.0.tgz.prov", "signed");
    let fetched = ground.client.fetch(&wanted, None, Provenance::Wanted).await?;
    let prov = fetched.prov.unwrap();
    assert_eq!(std::fs::read_to_string(&prov)?, "signed");
    assert_eq!(
        prov.to_str(),
        Some(format!("{}.prov", fetched.archive.display()).as_str())
    );
    Ok(())
}

#[tokio::test]
async fn a_repository_that_is_away_only_stops_what_is_new() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0"), chart("web", "1.1.0")]).await?;
    let before = ground.fetch("1.0.0", None).await?;
    ground.server.fail("/index.yaml", Fault::Status(503));

    assert_eq!(ground.fetch("1.0.0", None).await?, before);
    assert!(ground.refusal("1.1.0").await.contains("answered 503"));
    // Refused is not away.
    ground.server.fail("/index.yaml", Fault::Status(404));
    assert!(ground.refusal("1.0.0").await.contains("is not there (404)"));
    Ok(())
}

#[tokio::test]
async fn bad_indexes_and_addresses_say_what_to_do() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    assert!(
        ground
            .refusal("^9")
            .await
            .contains("no version of `web` for `^9`; it has 1.0.0")
    );
    ground.server.put("/index.yaml", "<html>sign in</html>");
    assert!(
        ground
            .refusal("1.0.0")
            .await
            .contains("check the repository's address")
    );
    ground.server.put(
        "/index.yaml",
        "apiVersion: v1\nentries:\n  bad: {\n  web:\n  - name: web\n    version: bad\n  - {name: web, version: 1.0.0, urls: [web-1.0.0.tgz]}\n",
    );
    ground.fetch("1.0.0", None).await?;
    for url in [
        "file:///etc",
        "http://169.254.169.254/",
        "https://u:hunter2@h/",
        "charts",
    ] {
        let wanted = reference(url, "1.0.0");
        let refused = ground
            .client
            .fetch(&wanted, None, Provenance::Unwanted)
            .await
            .unwrap_err();
        assert!(matches!(refused, RepositoryError::Address(_)), "{url}: {refused}");
        assert!(!refused.to_string().contains("hunter2"));
    }
    for name in ["", "../x", "a/b", "a?b"] {
        let wanted = ChartRef {
            name: name.to_owned(),
            ..reference(&ground.server.url(), "1.0.0")
        };
        let refused = ground
            .client
            .fetch(&wanted, None, Provenance::Unwanted)
            .await
            .unwrap_err();
        assert!(matches!(refused, RepositoryError::Name(_)), "{name}: {refused}");
    }
    Ok(())
}

#[tokio::test]
async fn a_repository_behind_its_own_authority_is_believed_by_whoever_knows_it() -> Result<()> {
    let ground = Ground::with(&[chart("web", "1.0.0")]).await?;
    let authority = Authority::new("charts of our own")?;
    let end = TlsEnd::start(&authority, ground.server.host().parse()?).await?;
    let url = format!("https://{}", end.host());
    let wanted = reference(&url, "1.0.0");
    let fetch = async |client: &ChartClient| client.fetch(&wanted, None, Provenance::Unwanted).await;

    let other = Authority::new("somebody else")?;
    for client in [&ground.client, &ground.client.trusting(other.pem.as_bytes())?] {
        let refused = fetch(client).await.unwrap_err();
        assert!(
            matches!(refused, RepositoryError::Untrusted { .. }),
            "{refused:?}"
        );
        let told = refused.to_string();
        for words in [end.host().as_str(), "UnknownIssuer", "--ca-file", "ca.bundle"] {
            assert!(told.contains(words), "{told}");
        }
    }

    // As the platform is told, and as an agent is.
    let knows = ground.client.trusting(authority.pem.as_bytes())?;
    let fetched = fetch(&knows).await?;
    assert_eq!(knows.versions(&url, "web", None).await?.len(), 1);
    let folder = tempfile::tempdir()?;
    let agent = ChartClient::new(ChartClientOptions {
        extra_roots: authority.pem.clone().into_bytes(),
        ..ChartClientOptions::new(folder.path())
    })?;
    assert_eq!(fetch(&agent).await?.digest, fetched.digest);

    // What one got through its authority is in the cache for nobody else.
    assert!(fetch(&ground.client).await.is_err());

    for wrong in [
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(ground.client.trusting(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
    Ok(())
}

/// As big as those of public repositories: what one chart of it costs the second time is one chart.
#[tokio::test]
async fn a_big_index_is_parsed_once() -> Result<()> {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for chart in 0..300 {
        text += &format!("  chart-{chart}:\n");
        for version in 0..40 {
            text += &format!(
                "  - apiVersion: v2\n    appVersion: 1.{version}.0\n    created: \"2026-01-01T00:00:00Z\"\n    description: {}\n    \
                 digest: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n    name: chart-{chart}\n    urls:\n    \
                 - chart-{chart}-1.{version}.0.tgz\n    version: 1.{version}.0\n",
                "words ".repeat(20)
            );
        }
    }
    assert!(text.len() as u64 > 3 << 20 && (text.len() as u64) < IndexBudget::default().bytes);
    let ground = Ground::with(&[]).await?;
    ground.server.put("/index.yaml", text);
    let url = ground.server.url();
    let mut options = ChartClientOptions::new(ground.folder.path());
    options.index_fresh = Duration::ZERO;
    let client = ChartClient::new(options)?;
    let begun = Instant::now();
    assert_eq!(client.versions(&url, "chart-7", None).await?.len(), 40);
    let parsed = begun.elapsed();

    let begun = Instant::now();
    assert_eq!(client.versions(&url, "chart-299", None).await?.len(), 40);
    let again = begun.elapsed();

    assert_eq!(ground.asked(), ["/index.yaml 200", "/index.yaml 304"]);
    // A busy machine is slow with both.
    assert!(
        again < (parsed / 2).max(Duration::from_millis(500)),
        "{again:?} after {parsed:?}"
    );
    Ok(())
}

pub fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
