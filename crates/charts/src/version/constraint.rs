//! Ranges of versions: `^1.2`, `~1.2.3`, `1.x`, `>=1.2 <2`, `1.2 - 1.5`, `^1 || ^3`.
//!
//! The rules are those of Masterminds/semver 3, oddities included: a comma or a space means "and"; a range without a prerelease in it
//! holds no prereleases; `1.2` alone means `~1.2`, while `1.2.3` means exactly that.

use std::str::FromStr;

use super::{Version, VersionError};

/// Alternatives, of which one has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    alternatives: Vec<Alternative>,
}

/// Bounds that all have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative {
    bounds: Vec<Bound>,
    /// Whether any of the bounds names a prerelease, so that prereleases are meant too.
    prereleases: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    operator: Operator,
    version: Version,
    given: Given,
}

/// How much of the version was written, the rest being `x`, `*` or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Given {
    Nothing,
    Major,
    Minor,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

const MOST_TEXT: usize = 512;
const MOST_ALTERNATIVES: usize = 32;

impl Constraint {
    /// Anything but prereleases, which is what no version at all means to Helm.
    pub fn newest_stable() -> Self {
        Self {
            alternatives: vec![Alternative {
                bounds: Vec::new(),
                prereleases: false,
            }],
        }
    }

    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let refused = || VersionError::Constraint(text.chars().take(80).collect());
        if text.trim().is_empty() {
            return Ok(Self::newest_stable());
        }
        let parts: Vec<&str> = text.split("||").collect();
        if text.len() > MOST_TEXT || parts.len() > MOST_ALTERNATIVES {
            return Err(refused());
        }
        let alternatives = parts
            .into_iter()
            .map(|part| Alternative::parse(part).ok_or_else(refused))
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    pub fn holds(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| {
            (alternative.prereleases || !version.is_prerelease())
                && alternative.bounds.iter().all(|bound| bound.holds(version))
        })
    }

    /// The newest of the versions that it holds.
    pub fn newest<'a>(&self, versions: impl IntoIterator<Item = &'a Version>) -> Option<&'a Version> {
        versions.into_iter().filter(|version| self.holds(version)).max()
    }
}

impl FromStr for Constraint {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Alternative {
    fn parse(text: &str) -> Option<Self> {
        let mut bounds = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (operator, after) = Operator::parse(rest);
            let (version, after) = word(after.trim_start());
            let bound = Bound::parse(operator, version)?;
            // `1.2 - 1.5`, where the hyphen stands alone.
            if let Some(upper) = after
                .trim_start()
                .strip_prefix('-')
                .filter(|upper| upper.starts_with(char::is_whitespace))
            {
                if bound.operator != Operator::Equal || !after.starts_with(char::is_whitespace) {
                    return None;
                }
                let (version, after) = word(upper.trim_start());
                bounds.push(Bound {
                    operator: Operator::GreaterOrEqual,
                    ..bound
                });
                bounds.push(Bound::parse(Operator::LessOrEqual, version)?);
                rest = next(after)?;
                continue;
            }
            bounds.push(bound);
            rest = next(after)?;
        }
        if bounds.is_empty() {
            return None;
        }
        let prereleases = bounds.iter().any(|bound| bound.version.is_prerelease());
        Some(Self { bounds, prereleases })
    }
}

/// A version or pattern, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '*')))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Steps over what separates two bounds: a comma, or spaces. A trailing comma is a mistake.
fn next(text: &str) -> Option<&str> {
    let trimmed = text.trim_start();
    match trimmed.strip_prefix(',') {
        Some(rest) => Some(rest.trim_start()).filter(|rest| !rest.is_empty()),
        None if trimmed.is_empty() || trimmed.len() < text.len() => Some(trimmed),
        None => None,
    }
}

impl Operator {
    fn parse(text: &str) -> (Self, &str) {
        // Longer ones first.
        const OPERATORS: [(&str, Operator); 11] = [
            ("!=", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("=>", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("=<", Operator::LessOrEqual),
            ("~>", Operator::Tilde),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
            (">", Operator::Greater),
            ("<", Operator::Less),
            ("=", Operator::Equal),
        ];
        OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
            .unwrap_or((Operator::Equal, text))
    }
}

impl Bound {
    fn parse(operator: Operator, text: &str) -> Option<Self> {
        let rest = text.split_once('+').map_or(text, |(rest, _build)| rest);
        let (numbers, pre) = match rest.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (rest, None),
        };
        let parts: Vec<&str> = numbers.strip_prefix('v').unwrap_or(numbers).split('.').collect();
        let is_any = |part: &str| matches!(part, "x" | "X" | "*");
        if parts.len() > 3 || !parts.iter().all(|part| is_any(part) || super::is_number(part)) {
            return None;
        }
        let known = parts.iter().take_while(|part| !is_any(part)).count();
        let given = [Given::Nothing, Given::Major, Given::Minor, Given::All][known];
        let mut whole = parts[..known].join(".");
        for _ in known..3 {
            whole.push_str(if whole.is_empty() { "0" } else { ".0" });
        }
        if let Some(pre) = pre {
            whole = format!("{whole}-{pre}");
        }
        Some(Self {
            operator,
            version: Version::parse(&whole).ok()?,
            given,
        })
    }

    fn holds(&self, version: &Version) -> bool {
        let (is, bound) = (version.parsed(), self.version.parsed());
        let order = is.cmp_precedence(bound);
        match self.operator {
            Operator::Equal if self.given < Given::All => self.tilde(version),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => match self.given {
                Given::All | Given::Nothing => order.is_ne(),
                Given::Major => is.major != bound.major,
                Given::Minor => is.major != bound.major || is.minor != bound.minor || is.pre != bound.pre,
            },
            Operator::Greater => match self.given {
                Given::All | Given::Nothing => order.is_gt(),
                // Above a whole line of versions, not just above its first.
                Given::Major => is.major > bound.major,
                Given::Minor => (is.major, is.minor) > (bound.major, bound.minor),
            },
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual => match self.given {
                Given::All => order.is_le(),
                Given::Major => is.major <= bound.major,
                Given::Nothing | Given::Minor => (is.major, is.minor) <= (bound.major, bound.minor),
            },
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn tilde(&self, version: &Version) -> bool {
        let (is, bound) = (version.parsed(), self.version.parsed());
        if is.cmp_precedence(bound).is_lt() {
            return false;
        }
        // `~0.0.0` and `*` accept everything above.
        let is_zero = (bound.major, bound.minor, bound.patch) == (0, 0, 0);
        if is_zero && matches!(self.given, Given::Nothing | Given::All) {
            return true;
        }
        is.major == bound.major && (self.given == Given::Major || is.minor == bound.minor)
    }

    fn caret(&self, version: &Version) -> bool {
        let (is, bound) = (version.parsed(), self.version.parsed());
        if is.cmp_precedence(bound).is_lt() {
            return false;
        }
        if bound.major > 0 || self.given == Given::Major {
            return is.major == bound.major;
        }
        if is.major > 0 {
            return false;
        }
        if bound.minor > 0 || self.given == Given::Minor {
            return is.minor == bound.minor;
        }
        is.minor == 0 && is.patch == bound.patch
    }
}
