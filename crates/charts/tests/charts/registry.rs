//! The client against a real registry that the real `helm` pushes to, and against one that plays the token protocol.

use std::path::Path;
use std::process::Output;

use anyhow::{Result, ensure};
use c7n_charts::{Credentials, Digest, Provenance, RepositoryError};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::charts::{Packed, write};
use c7n_testbed::stack::{ChartServer, Fault, Registry};
use tokio::process::Command;

use crate::repository::{chart, client, reference, walk};

/// `helm` with folders of its own.
pub async fn helm(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(programs::ensure(Program::Helm).await?)
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("HELM_CACHE_HOME", folder.join("helm/cache"))
        .env("HELM_CONFIG_HOME", folder.join("helm/config"))
        .env("HELM_DATA_HOME", folder.join("helm/data"))
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "helm {}: {}",
        arguments[0],
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

async fn push(folder: &Path, registry: &Registry, charts: &[Packed]) -> Result<()> {
    let host = registry.host();
    let login = [
        "registry",
        "login",
        &host,
        "--plain-http",
        "-u",
        Registry::USERNAME,
        "-p",
        Registry::PASSWORD,
    ];
    helm(folder, &login).await?;
    for chart in charts {
        let path = write(chart, folder)?;
        let target = format!("oci://{host}/team/charts");
        helm(folder, &["push", path.to_str().unwrap(), &target, "--plain-http"]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn charts_that_helm_pushed_are_pulled() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start(&folder.path().join("registry")).await?;
    let charts = [
        chart("web", "1.0.0"),
        chart("web", "1.1.0+build.7"),
        chart("web", "2.0.0-rc.1"),
    ];
    // Helm pushes a provenance file that lies beside the chart.
    std::fs::write(folder.path().join("web-1.0.0.tgz.prov"), "signed")?;
    push(folder.path(), &registry, &charts).await?;
    let client = client(&folder.path().join("cache"));
    let url = format!("oci://{}/team/charts", registry.host());
    let ada = Credentials::basic(Registry::USERNAME, Registry::PASSWORD);

    let newest = client
        .fetch(&reference(&url, ""), Some(&ada), Provenance::Unwanted)
        .await?;
    assert_eq!(
        (newest.resolved_version.as_str(), newest.digest),
        ("1.1.0+build.7", Digest::of(&charts[1].archive))
    );
    assert_eq!(std::fs::read(&newest.archive)?, charts[1].archive);
    let exact = client
        .fetch(
            &reference(&url, "1.1.0+build.7"),
            Some(&ada),
            Provenance::Unwanted,
        )
        .await?;
    assert_eq!(exact, newest);

    let versions = client.versions(&url, "web", Some(&ada)).await?;
    let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
    assert_eq!(versions, ["2.0.0-rc.1", "1.1.0+build.7", "1.0.0"]);

    let signed = client
        .fetch(&reference(&url, "1.0.0"), Some(&ada), Provenance::Wanted)
        .await?;
    assert_eq!(std::fs::read_to_string(signed.prov.unwrap())?, "signed");
    let unsigned = client
        .fetch(&reference(&url, "2.0.0-rc.1"), Some(&ada), Provenance::Wanted)
        .await;
    assert!(
        matches!(unsigned, Err(RepositoryError::NoProvenance { .. })),
        "{unsigned:?}"
    );

    for (credentials, version, words) in [
        (None, "1.0.0", "asks for credentials"),
        (
            Some(Credentials::basic("ada", "hunter2")),
            "1.0.0",
            "refuses the credentials (401)",
        ),
        (
            Some(ada.clone()),
            "3.0.0",
            "no version of `web` for `3.0.0`; it has 2.0.0-rc.1, 1.1.0+build.7, 1.0.0",
        ),
        (Some(ada.clone()), "^3", "no version of `web` for `^3`"),
    ] {
        let refused = client
            .fetch(
                &reference(&url, version),
                credentials.as_ref(),
                Provenance::Unwanted,
            )
            .await;
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains(words) && !refused.contains("hunter2"),
            "{words:?} is not in {refused:?}"
        );
    }

    // A layer that was changed on the registry's disk.
    let layer = walk(&folder.path().join("registry/data"))
        .into_iter()
        .find(|file| std::fs::read(file).is_ok_and(|bytes| bytes == charts[2].archive));
    let layer = layer.expect("the registry keeps layers as they are");
    std::fs::write(
        &layer,
        &charts[0].archive[..charts[2].archive.len().min(charts[0].archive.len())],
    )?;
    let changed = client
        .fetch(&reference(&url, "2.0.0-rc.1"), Some(&ada), Provenance::Unwanted)
        .await;
    // It was fetched before its provenance was missed, and is known by its digest.
    assert_eq!(changed?.digest, Digest::of(&charts[2].archive));
    let other = crate::repository::client(&folder.path().join("other"));
    let changed = other
        .fetch(&reference(&url, "2.0.0-rc.1"), Some(&ada), Provenance::Unwanted)
        .await;
    assert!(changed.is_err(), "{changed:?}");
    Ok(())
}

/// A registry that sends its clients to a token service, as most public ones do.
#[tokio::test]
async fn tokens_are_fetched_and_used_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let web = chart("web", "1.0.0");
    let server = ChartServer::start().await?;
    let digest = Digest::of(&web.archive);
    server.put(
        "/v2/team/web/manifests/1.0.0",
        format!(
            r#"{{"config":{{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"{digest}","size":2}},
               "layers":[{{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"{digest}","size":{}}}]}}"#,
            web.archive.len()
        ),
    );
    // As registries do that keep their layers elsewhere.
    let elsewhere = ChartServer::start().await?;
    elsewhere.put("/layer", web.archive.clone());
    server.fail(
        &format!("/v2/team/web/blobs/{digest}"),
        Fault::Redirect(format!("{}/layer?signed=hunter2", elsewhere.url())),
    );
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"registry\",scope=\"repository:team/web:pull\"",
        server.url()
    );
    server.protect("/v2/", "Bearer t0ken", &challenge);
    server.protect("/token", "Basic YWRhOmh1bnRlcjI=", "Basic realm=x");
    server.put("/token", r#"{"token":"t0ken","expires_in":300}"#);
    let url = format!("oci://{}/team", server.host());
    let ada = Credentials::basic("ada", "hunter2");
    let first = client(&folder.path().join("one"));

    let fetched = first
        .fetch(&reference(&url, "1.0.0"), Some(&ada), Provenance::Unwanted)
        .await?;

    assert_eq!(fetched.digest, digest);
    let asked = |server: &ChartServer| {
        server
            .received()
            .iter()
            .map(|r| format!("{} {}", r.path, r.status))
            .collect::<Vec<_>>()
    };
    let blob = format!("/v2/team/web/blobs/{digest} 302");
    assert_eq!(
        asked(&server),
        [
            "/v2/team/web/manifests/1.0.0 401",
            "/token?service=registry&scope=repository%3Ateam%2Fweb%3Apull 200",
            "/v2/team/web/manifests/1.0.0 200",
            &blob
        ]
    );
    let there = elsewhere.received();
    assert!(
        there
            .iter()
            .all(|request| !request.headers.contains_key("authorization")),
        "{there:?}"
    );

    // The token holds, and the layer is here.
    first
        .fetch(&reference(&url, "1.0.0"), Some(&ada), Provenance::Unwanted)
        .await?;
    assert_eq!(asked(&server), ["/v2/team/web/manifests/1.0.0 200"]);

    // Where the layers are kept may not ask for the password.
    elsewhere.protect("/", "Basic x", &challenge);
    let second = client(&folder.path().join("two"));
    let refused = second
        .fetch(&reference(&url, "1.0.0"), Some(&ada), Provenance::Unwanted)
        .await
        .unwrap_err();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    let there = elsewhere.received();
    assert_eq!(there.len(), 1);

    // A token service elsewhere, not encrypted: the password stays here.
    let evil = ChartServer::start().await?;
    let evil_url = evil.url().replace("127.0.0.1", "localhost");
    let server = ChartServer::start().await?;
    server.protect("/", "Bearer t0ken", &format!("Bearer realm=\"{evil_url}/token\""));
    let url = format!("oci://{}/team", server.host());
    let refused = second
        .fetch(&reference(&url, "1.0.0"), Some(&ada), Provenance::Unwanted)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("token service is not encrypted"),
        "{refused}"
    );
    assert_eq!(evil.received().len(), 0);
    Ok(())
}

/// What we write is what `helm` reads, and what we read of `--set` is what it makes of it.
#[tokio::test]
async fn helm_agrees() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let chart = crate::pack::Pack::chart("echo", "1.0.0")
        .file("echo/templates/all.yaml", "all: {{ .Values | toJson }}\n");
    let path = folder.path().join("echo-1.0.0.tgz");
    std::fs::write(&path, chart.clone().tgz())?;
    for (given, values) in crate::values::expressions() {
        let mut arguments = vec!["template", "x", path.to_str().unwrap()];
        for expression in given {
            arguments.extend(["--set", expression]);
        }
        let output = String::from_utf8(helm(folder.path(), &arguments).await?.stdout)?;
        let json = output
            .lines()
            .find_map(|line| line.strip_prefix("all: "))
            .unwrap_or_default();
        let theirs: serde_json::Value = serde_json::from_str(json)?;
        assert_eq!(theirs, values, "{given:?}");
    }

    let server = ChartServer::start().await?;
    server.require("ada", "pw");
    let mut index = c7n_charts::Index {
        generated: "2026-01-02T03:04:05Z".to_owned(),
        ..Default::default()
    };
    let archive = c7n_charts::ChartArchive::from_bytes(&chart.clone().tgz(), &c7n_charts::Budget::default())?;
    index.add(c7n_charts::IndexEntry {
        metadata: archive.metadata,
        urls: vec!["charts/echo-1.0.0.tgz".to_owned()],
        created: "2026-01-02T03:04:05.000000006Z".to_owned(),
        digest: archive.digest.hex(),
        removed: false,
    });
    server.put("/index.yaml", index.to_yaml());
    server.put("/charts/echo-1.0.0.tgz", chart.clone().tgz());
    helm(
        folder.path(),
        &[
            "repo",
            "add",
            "ours",
            &server.url(),
            "--username",
            "ada",
            "--password",
            "pw",
        ],
    )
    .await?;
    let pulled = folder.path().join("pulled");
    std::fs::create_dir(&pulled)?;
    helm(
        folder.path(),
        &["pull", "ours/echo", "-d", pulled.to_str().unwrap()],
    )
    .await?;
    assert_eq!(std::fs::read(pulled.join("echo-1.0.0.tgz"))?, chart.tgz());
    Ok(())
}
