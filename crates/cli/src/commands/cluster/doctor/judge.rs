//! What was found, judged. Pure.

use std::time::Duration;

use c7n_api::{Cluster, ClusterState};
use serde::Serialize;

/// What the agent's chart asks of Kubernetes (`kubeVersion` of its Chart.yaml).
const OLDEST_MINOR: u32 = 33;
/// Certificates and tokens are judged by clocks.
const SKEW: Duration = Duration::from_secs(30);
const SKEW_TOO_MUCH: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub check: &'static str,
    pub words: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
}

impl Finding {
    fn ok(check: &'static str, words: impl Into<String>) -> Self {
        Self::new(Level::Ok, check, words, "")
    }

    fn new(level: Level, check: &'static str, words: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            level,
            check,
            words: words.into(),
            next: next.into(),
        }
    }
}

/// A line per finding, and what to do next below those that are not well.
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "OK  ",
            Level::Warn => "WARN",
            Level::Fail => "FAIL",
        };
        text.push_str(&format!("{level}  {:<12}  {}\n", finding.check, finding.words));
        if !finding.next.is_empty() {
            text.push_str(&format!("                    next: {}\n", finding.next));
        }
    }
    text
}

pub fn helm(version: Option<&str>) -> Finding {
    match version {
        Some(version) => Finding::ok("helm", version),
        None => Finding::new(
            Level::Fail,
            "helm",
            "`helm` is not on PATH, and the activation command needs it",
            "install it (https://helm.sh/docs/intro/install), or run the command where it is",
        ),
    }
}

/// What the platform answered.
#[derive(Debug, Clone, Default)]
pub struct Platform {
    pub url: String,
    /// Why it could not be reached; then nothing below is set.
    pub unreachable: Option<String>,
    /// Status of the path that agents dial, without a credential.
    pub agent_status: Option<u16>,
    /// Its clock minus ours, in seconds.
    pub skew: Option<i64>,
}

pub fn platform(found: &Platform) -> Vec<Finding> {
    if let Some(trouble) = &found.unreachable {
        return vec![Finding::new(
            Level::Fail,
            "platform",
            format!("{} cannot be reached from here: {trouble}", found.url),
            "check the address, the firewall and HTTPS_PROXY",
        )];
    }
    let mut findings = vec![match found.agent_status {
        // Nobody is taken in without a credential, and that is the platform's own answer.
        Some(401) => Finding::ok(
            "platform",
            format!("{} answers, also where agents dial", found.url),
        ),
        other => Finding::new(
            Level::Fail,
            "platform",
            format!(
                "{} answers, but not where agents dial (/agent/): {}",
                found.url,
                other.map_or("nothing".to_owned(), |status| format!("status {status}"))
            ),
            "let whatever stands in front of the platform pass /agent/ and WebSockets",
        ),
    }];
    if is_loopback(&found.url) {
        findings.push(Finding::new(
            Level::Warn,
            "address",
            format!("{} is this machine alone: a pod of another machine does not reach it", found.url),
            "start c7n-server with --public-url, unless the cluster runs on this machine and its pods use its network",
        ));
    }
    findings.extend(
        found
            .skew
            .map(|skew| skewed("clock", "the platform's clock", skew)),
    );
    findings
}

fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|start| rest.starts_with(start))
}

fn skewed(check: &'static str, whose: &str, skew: i64) -> Finding {
    let off = Duration::from_secs(skew.unsigned_abs());
    let direction = if skew > 0 { "ahead of" } else { "behind" };
    let words = format!("{whose} is {} s {direction} ours", off.as_secs());
    let next = "let both keep time by NTP";
    match off {
        off if off >= SKEW_TOO_MUCH => Finding::new(Level::Fail, check, words, next),
        off if off >= SKEW => Finding::new(Level::Warn, check, words, next),
        _ => Finding::ok(check, format!("{whose} and ours agree")),
    }
}

/// Proxies of this shell, by variable. Without credentials that may be part of them.
pub fn proxy(set: &[(String, String)]) -> Finding {
    let Some((variable, proxy)) = set.first() else {
        return Finding::ok("proxy", "none is set in this shell");
    };
    Finding::new(
        Level::Warn,
        "proxy",
        format!("{variable}={proxy} is set in this shell; the agent's pod does not know of it"),
        format!("if the cluster needs it too, add --set proxy.https={proxy} to the activation command"),
    )
}

pub fn unreachable(trouble: &str) -> Finding {
    Finding::new(
        Level::Fail,
        "cluster",
        trouble,
        "check that `kubectl get nodes` works here; --context chooses another cluster",
    )
}

/// `version`: as `gitVersion` says it.
pub fn version(context: &str, version: &str) -> Finding {
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or(0)
    });
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if (major, minor) >= (1, OLDEST_MINOR) {
        return Finding::ok("cluster", format!("{context}: Kubernetes {version}"));
    }
    Finding::new(
        Level::Fail,
        "cluster",
        format!("{context}: Kubernetes {version} is older than 1.{OLDEST_MINOR}"),
        format!("upgrade the cluster to 1.{OLDEST_MINOR} or newer"),
    )
}

/// The API server's clock minus ours, in seconds.
pub fn clock(skew: Option<i64>) -> Finding {
    match skew {
        Some(skew) => skewed("clock", "the cluster's clock", skew),
        None => Finding::new(Level::Warn, "clock", "the cluster's clock could not be read", ""),
    }
}

/// One thing that the chart creates or hands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    pub verb: String,
    pub group: String,
    pub resource: String,
    /// Empty for the whole cluster.
    pub namespace: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let group = if self.group.is_empty() {
            String::new()
        } else {
            format!(".{}", self.group)
        };
        write!(f, "{} {}{group}", self.verb, self.resource)?;
        match self.namespace.as_str() {
            "" => write!(f, " (whole cluster)"),
            namespace => write!(f, " in {namespace}"),
        }
    }
}

/// What the chart with `rbac.mode=cluster` needs of whoever installs it: to make its objects, and to hold what it hands on.
pub fn wanted_rights(namespace: &str) -> Vec<Right> {
    let right = |verb: &str, group: &str, resource: &str, namespace: &str| Right {
        verb: verb.into(),
        group: group.into(),
        resource: resource.into(),
        namespace: namespace.into(),
    };
    let mut rights = vec![
        right("create", "", "namespaces", ""),
        right("create", "apiextensions.k8s.io", "customresourcedefinitions", ""),
        right("create", "rbac.authorization.k8s.io", "clusterroles", ""),
        right("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ];
    for (group, resource) in [
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("apps", "deployments"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
    ] {
        rights.push(right("create", group, resource, namespace));
    }
    // Nobody hands on by RBAC what they have not got themselves.
    for verb in [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    ] {
        rights.push(right(verb, "*", "*", ""));
    }
    rights
}

/// What may not be done; an error when it could not be asked.
pub fn rights(found: &Result<Vec<Right>, String>) -> Vec<Finding> {
    let missing = match found {
        Err(trouble) => {
            return vec![Finding::new(
                Level::Warn,
                "rights",
                format!("it cannot be told what you may do: {trouble}"),
                "",
            )];
        }
        Ok(missing) if missing.is_empty() => {
            return vec![Finding::ok(
                "rights",
                "you may create what the chart creates, and hand on its rights",
            )];
        }
        Ok(missing) => missing,
    };
    let (handed_on, made): (Vec<&Right>, Vec<&Right>) =
        missing.iter().partition(|right| right.resource == "*");
    let mut findings = Vec::new();
    let list = |rights: &[&Right]| {
        let words: Vec<String> = rights.iter().map(ToString::to_string).collect();
        words.join(", ")
    };
    if !made.is_empty() {
        findings.push(Finding::new(
            Level::Fail,
            "rights",
            format!("you may not {}", list(&made)),
            "ask an administrator of the cluster to run the activation command",
        ));
    }
    if !handed_on.is_empty() {
        findings.push(Finding::new(
            Level::Fail,
            "rights",
            format!("the agent gets rights that you do not have yourself: {}", list(&handed_on)),
            "ask an administrator, or restrict the agent with --set rbac.mode=namespace,rbac.namespaces={...}",
        ));
    }
    findings
}

/// An agent that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub namespace: String,
    pub release: String,
    pub cluster_id: String,
}

pub fn installed(found: &Result<Vec<Installed>, String>, namespace: &str, cluster: Option<&str>) -> Finding {
    let check = "installed";
    let found = match found {
        Ok(found) => found,
        Err(trouble) => {
            let words = format!("it cannot be told whether an agent is there: {trouble}");
            return Finding::new(Level::Warn, check, words, "");
        }
    };
    let ours = |it: &&Installed| it.namespace == namespace && cluster.is_none_or(|id| it.cluster_id == id);
    if found.is_empty() {
        return Finding::ok(check, "no agent is in this cluster yet");
    }
    match found.iter().find(|it| !ours(it)) {
        Some(other) => Finding::new(
            Level::Fail,
            check,
            format!(
                "an agent of cluster {} is there already: release {} in namespace {}",
                other.cluster_id, other.release, other.namespace
            ),
            format!(
                "one agent serves a whole cluster: remove it with `helm uninstall {} --namespace {}`, or use its record",
                other.release, other.namespace
            ),
        ),
        None => Finding::new(
            Level::Warn,
            check,
            format!("the agent is there already, in namespace {namespace}"),
            "the activation command upgrades it, and keeps its credential",
        ),
    }
}

pub fn inside(reached: Result<String, String>) -> Finding {
    match reached {
        Ok(words) => Finding::ok("from inside", words),
        Err(trouble) => Finding::new(
            Level::Fail,
            "from inside",
            format!("a pod of the cluster does not reach the platform: {trouble}"),
            "check the cluster's way out: firewall, NetworkPolicies, DNS, proxy (values proxy.*), authorities (values ca.*)",
        ),
    }
}

pub fn record(cluster: &Cluster) -> Finding {
    let name = &cluster.name;
    match (cluster.state, &cluster.message) {
        (_, Some(message)) => Finding::new(
            Level::Warn,
            "record",
            format!("{name}: {message}"),
            format!(
                "`c7n cluster activation -p {} {name}` prints a new command",
                cluster.project
            ),
        ),
        (ClusterState::Running, None) => Finding::ok("record", format!("{name} is running already")),
        (ClusterState::Waiting, None) => Finding::ok(
            "record",
            format!(
                "{name} waits for its agent: `c7n cluster activation -p {} {name}`",
                cluster.project
            ),
        ),
        (ClusterState::Disconnected, None) => Finding::new(
            Level::Warn,
            "record",
            format!("{name} was joined and is disconnected"),
            "look at its agent first: `kubectl -n choerodon logs deploy/choerodon-cluster-agent`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(state: ClusterState, message: Option<&str>) -> Cluster {
        Cluster {
            id: "id-east".into(),
            project: "shop".into(),
            name: "east".into(),
            state,
            message: message.map(str::to_owned),
            kubernetes_version: None,
            agent_version: None,
            agent_support: None,
            nodes: Vec::new(),
            created_ms: 0,
            last_seen_ms: None,
        }
    }

    #[test]
    fn a_cluster_that_fits_reads_like_this() {
        let mut findings = vec![helm(Some("v4.3.1"))];
        findings.extend(platform(&Platform {
            url: "https://c7n.example.com".into(),
            agent_status: Some(401),
            skew: Some(1),
            ..Platform::default()
        }));
        findings.push(proxy(&[]));
        findings.push(version("east-admin", "v1.34.4"));
        findings.push(clock(Some(-2)));
        findings.extend(rights(&Ok(Vec::new())));
        findings.push(installed(&Ok(Vec::new()), "choerodon", Some("id-east")));
        findings.push(inside(Ok("a pod reaches the platform".into())));
        findings.push(record(&cluster(ClusterState::Waiting, None)));
        assert!(findings.iter().all(|finding| finding.level == Level::Ok));
        insta::assert_snapshot!(text(&findings));
    }

    #[test]
    fn a_cluster_that_does_not_fit_reads_like_this() {
        let mut findings = vec![helm(None)];
        findings.extend(platform(&Platform {
            url: "http://127.0.0.1:8080".into(),
            agent_status: Some(404),
            skew: Some(400),
            ..Platform::default()
        }));
        findings.extend(platform(&Platform {
            url: "https://c7n.example.com".into(),
            unreachable: Some("connection refused".into()),
            ..Platform::default()
        }));
        findings.push(proxy(&[(
            "HTTPS_PROXY".into(),
            "http://proxy.example.com:3128".into(),
        )]));
        findings.push(unreachable("`kubectl` is not on PATH"));
        findings.push(version("old", "v1.32.9+k3s1"));
        findings.push(clock(Some(-60)));
        findings.push(clock(None));
        let all = wanted_rights("choerodon");
        findings.extend(rights(&Ok(vec![all[2].clone(), all[4].clone(), all[11].clone()])));
        let there = |namespace: &str, id: &str| Installed {
            namespace: namespace.into(),
            release: "agent".into(),
            cluster_id: id.into(),
        };
        findings.push(installed(
            &Ok(vec![there("choerodon", "id-east")]),
            "choerodon",
            Some("id-east"),
        ));
        findings.push(installed(
            &Ok(vec![there("choerodon", "id-west")]),
            "choerodon",
            Some("id-east"),
        ));
        findings.push(installed(&Ok(vec![there("other", "id-east")]), "choerodon", None));
        findings.push(inside(Err("no route".into())));
        findings.push(record(&cluster(
            ClusterState::Waiting,
            Some("its agent was refused"),
        )));
        findings.push(record(&cluster(ClusterState::Disconnected, None)));
        insta::assert_snapshot!(text(&findings));
    }

    #[test]
    fn what_is_handed_on_is_what_the_chart_grants() {
        let helpers = include_str!("../../../../../../charts/choerodon-cluster-agent/templates/_helpers.tpl");
        let granted = helpers
            .lines()
            .find(|line| line.starts_with("[\"get\""))
            .expect("the chart lists its verbs");
        let handed_on = wanted_rights("n")
            .into_iter()
            .filter(|right| right.resource == "*");
        let verbs: Vec<String> = handed_on.map(|right| format!("{:?}", right.verb)).collect();
        assert_eq!(granted, format!("[{}]", verbs.join(", ")));
    }
}
