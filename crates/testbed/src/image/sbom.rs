//! The bill of materials (CycloneDX 1.6, JSON): which crates, Go modules and Debian packages an image holds.
//!
//! In: `cargo metadata`, `go version -m`, `dpkg`. Out: the same text for the same image: no time, and a serial number that
//! is made from the content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use c7n_pack::sha256;
use serde_json::{Value, json};

use super::Order;
use super::root::Root;

pub(super) fn bill(order: &Order, system: &Root, own: &Root) -> Result<Vec<u8>> {
    let mut components = crates(order.kind.program())?;
    if let Some(worker) = &order.helm_worker {
        components.extend(go_modules(worker)?);
    }
    components.extend(packages(
        system.copied().iter().chain(own.copied()).map(AsRef::as_ref),
    )?);
    // By what identifies them.
    let components: BTreeMap<String, Value> = components
        .into_iter()
        .map(|component| {
            (
                component["purl"].as_str().unwrap_or_default().to_owned(),
                component,
            )
        })
        .collect();
    let components: Vec<Value> = components.into_values().collect();
    let mut bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": {
            "type": "container",
            "name": order.kind.program(),
            "version": env!("CARGO_PKG_VERSION"),
            "licenses": [{ "license": { "id": "Apache-2.0" } }],
        }},
        "components": components,
    });
    let digest = sha256(bill.to_string().as_bytes());
    bill["serialNumber"] = format!("urn:uuid:{}", uuid(&digest)).into();
    let mut text = serde_json::to_vec_pretty(&bill)?;
    text.push(b'\n');
    Ok(text)
}

/// The digest in the form of a UUIDv8 (RFC 9562, section 5.8).
fn uuid(digest: &str) -> String {
    format!(
        "{}-{}-8{}-8{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[13..16],
        &digest[17..20],
        &digest[20..32]
    )
}

/// What the program is compiled from: normal dependencies, as locked, for this platform.
fn crates(package: &str) -> Result<Vec<Value>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            &platform,
        ])
        .arg("--manifest-path")
        .arg(workspace);
    let metadata: Value = serde_json::from_slice(&output(command, "cargo metadata")?)?;
    // The server's program is of the package c7n-platform.
    let package = match package {
        super::SERVER => "c7n-platform",
        other => other,
    };
    reachable(&metadata, package)
}

fn reachable(metadata: &Value, package: &str) -> Result<Vec<Value>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|package| (text(&package["id"]), package))
        .collect();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (text(&node["id"]), node))
        .collect();
    let Some((root, _)) = packages.iter().find(|(_, found)| found["name"] == package) else {
        bail!("there is no crate {package} in this workspace");
    };
    let (mut seen, mut open) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        for dependency in list(&nodes.get(&id).unwrap_or(&Value::Null)["deps"]) {
            // No kind is a normal one; `dev` and `build` are not in the program.
            if list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
            {
                open.push(text(&dependency["pkg"]));
            }
        }
    }
    Ok(seen
        .iter()
        .filter_map(|id| packages.get(id))
        .map(|package| {
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            let mut component = json!({
                "type": "library",
                "name": name,
                "version": version,
                "purl": format!("pkg:cargo/{name}@{version}"),
            });
            if let Some(license) = package["license"].as_str() {
                // Older crates write a slash where SPDX has OR.
                component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
            }
            component
        })
        .collect())
}

/// The modules that a Go program says it is built from.
fn go_modules(program: &Path) -> Result<Vec<Value>> {
    let mut command = Command::new("go");
    command.args(["version", "-m"]).arg(program);
    let said = output(command, "go version -m")?;
    Ok(read_go_modules(&String::from_utf8_lossy(&said)))
}

fn read_go_modules(said: &str) -> Vec<Value> {
    let component = |name: &str, version: &str| {
        json!({
            "type": "library",
            "name": name,
            "version": version,
            "purl": format!("pkg:golang/{name}@{version}"),
        })
    };
    let go = said.lines().next().and_then(|line| line.rsplit_once(": go"));
    let mut found: Vec<Value> = go
        .map(|(_, version)| component("stdlib", version.trim()))
        .into_iter()
        .collect();
    for line in said.lines().map(str::trim) {
        let fields: Vec<&str> = line.split('\t').collect();
        if let ["dep" | "=>", name, version, ..] = fields[..] {
            // A replacement stands for what the line above it named.
            if fields[0] == "=>" {
                found.pop();
            }
            found.push(component(name, version));
        }
    }
    found
}

/// The Debian packages that these files are of.
fn packages<'a>(files: impl Iterator<Item = &'a Path>) -> Result<Vec<Value>> {
    let mut command = Command::new("dpkg-query");
    command.arg("--search").env("LC_ALL", "C");
    let mut any = false;
    for file in files {
        any = true;
        command.arg(file);
        // Packages from before the trees were merged name files without /usr.
        if let Ok(rest) = file.strip_prefix("/usr") {
            command.arg(Path::new("/").join(rest));
        }
    }
    if !any {
        return Ok(Vec::new());
    }
    // It complains of the spelling that is not there, which is no error here.
    let said = command
        .output()
        .context("cannot run dpkg-query: images are made on Debian or Ubuntu")?;
    let names: BTreeSet<String> = String::from_utf8_lossy(&said.stdout)
        .lines()
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(names, _)| names.split(", ").map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| !name.starts_with("diversion by"))
        .collect();
    let mut command = Command::new("dpkg-query");
    command
        .args([
            "--show",
            "--showformat",
            "${Package}\t${Version}\t${Architecture}\n",
        ])
        .args(&names);
    let said = output(command, "dpkg-query --show")?;
    let distribution = distribution();
    Ok(String::from_utf8_lossy(&said)
        .lines()
        .filter_map(|line| {
            let [name, version, architecture] = line.split('\t').collect::<Vec<_>>()[..] else {
                return None;
            };
            let escaped = version.replace('+', "%2B").replace(':', "%3A");
            Some(json!({
                "type": "library",
                "name": name,
                "version": version,
                "purl": format!("pkg:deb/{distribution}/{name}@{escaped}?arch={architecture}"),
            }))
        })
        .collect())
}

fn distribution() -> String {
    let about = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    about
        .lines()
        .find_map(|line| line.strip_prefix("ID="))
        .unwrap_or("debian")
        .trim_matches('"')
        .to_owned()
}

fn output(mut command: Command, what: &str) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot run {what}"))?;
    if !output.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_modules_are_read_and_replacements_take_their_place() {
        let said = "/bin/x: go1.26.1\n\tpath\tx\n\tmod\tx\t(devel)\n\tdep\ta.example/a\tv1.0.0\th1:x=\n\tdep\tb.example/b\tv2.0.0\n\t\
                    =>\tc.example/b\tv2.0.1\th1:y=\n\tbuild\t-trimpath=true\n";
        let purls: Vec<String> = read_go_modules(said)
            .iter()
            .map(|component| component["purl"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            purls,
            [
                "pkg:golang/stdlib@1.26.1",
                "pkg:golang/a.example/a@v1.0.0",
                "pkg:golang/c.example/b@v2.0.1"
            ]
        );
    }

    #[test]
    fn only_what_is_in_the_program_is_listed() {
        let package =
            |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let uses = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("ours"), package("used"), package("deep"), package("tested"), package("built")],
            "resolve": { "nodes": [
                { "id": "ours", "deps": [uses("used", Value::Null), uses("tested", "dev".into()), uses("built", "build".into())] },
                { "id": "used", "deps": [uses("deep", Value::Null)] },
                { "id": "deep", "deps": [] },
            ]},
        });
        let names: Vec<Value> = reachable(&metadata, "ours")
            .unwrap()
            .iter()
            .map(|component| component["name"].clone())
            .collect();
        assert_eq!(names, ["deep", "ours", "used"]);
        assert!(reachable(&metadata, "nobody").is_err());
    }
}
