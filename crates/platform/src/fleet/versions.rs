//! How an agent's version stands to the platform's. Pure.
//!
//! What the two say to each other is negotiated (protocol and features); this is for people: whether to upgrade.

use c7n_api::AgentSupport;

/// Agents of so many minor versions before the platform's are supported.
const MINORS: u64 = 2;

pub fn support(agent: &str, platform: &str) -> AgentSupport {
    let (Some(agent), Some(platform)) = (parse(agent), parse(platform)) else {
        return AgentSupport::Unknown;
    };
    if agent >= platform {
        return AgentSupport::Current;
    }
    let (major, minor, _) = agent;
    if major == platform.0 && minor + MINORS >= platform.1 {
        AgentSupport::Outdated
    } else {
        AgentSupport::TooOld
    }
}

/// `1.2.3`, with or without `v`; what follows a dash or plus does not count.
fn parse(version: &str) -> Option<(u64, u64, u64)> {
    let version = version.trim_start_matches('v');
    let version = version.split(['-', '+']).next()?;
    let numbers: Vec<u64> = version
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    match numbers[..] {
        [major, minor, patch] => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_minor_versions_back_are_supported() {
        for (agent, platform, expected) in [
            ("1.4.2", "1.4.2", AgentSupport::Current),
            ("1.4.3", "1.4.2", AgentSupport::Current),
            ("1.5.0", "1.4.2", AgentSupport::Current),
            ("2.0.0", "1.4.2", AgentSupport::Current),
            ("v1.4.2-rc.1", "1.4.2", AgentSupport::Current),
            ("1.4.1", "1.4.2", AgentSupport::Outdated),
            ("1.3.9", "1.4.2", AgentSupport::Outdated),
            ("1.2.0", "1.4.2", AgentSupport::Outdated),
            ("1.1.9", "1.4.2", AgentSupport::TooOld),
            ("0.9.0", "1.0.0", AgentSupport::TooOld),
            ("0.1.0", "0.3.0", AgentSupport::Outdated),
            ("0.1.0", "0.4.0", AgentSupport::TooOld),
            ("", "1.4.2", AgentSupport::Unknown),
            ("nightly", "1.4.2", AgentSupport::Unknown),
            ("1.4", "1.4.2", AgentSupport::Unknown),
        ] {
            assert_eq!(support(agent, platform), expected, "{agent} with {platform}");
        }
    }
}
