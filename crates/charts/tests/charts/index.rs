//! Indexes: what is read, what is left out, what is written, and which version is chosen.

use c7n_charts::index::IndexBudget;
use c7n_charts::{Constraint, Index, IndexError, Version};
use proptest::prelude::*;

fn read(text: &str) -> Result<Index, IndexError> {
    Index::read(text.as_bytes(), &IndexBudget::default())
}

const INDEX: &str = r#"apiVersion: v1
entries:
  web:
  - apiVersion: v2
    created: "2026-01-02T03:04:05.678Z"
    digest: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    name: web
    version: 1.2.0
    urls:
    - web-1.2.0.tgz
  - apiVersion: v2
    name: web
    version: 1.10.0
    urls: [https://elsewhere/web-1.10.0.tgz]
  - name: web
    version: 2.0.0-rc.1
    urls: null
    digest: null
  broken:
  - name: broken
    version: not-a-version
  - just text
  - name: other
    version: 1.0.0
  - apiVersion: v9
    name: broken
    version: 1.0.0
  - name: broken
    version: 0.1.0
    keywords: {not: a list}
  - name: broken
    version: 0.2.0
  wrong: 5
  torn:
  - name: torn
    version: [1
  web:
  - name: web
    version: 9.0.0
  nothing:
generated: "2026-01-02T03:04:05Z"
serverInfo: {}
"#;

#[test]
fn one_bad_entry_spoils_only_itself() {
    let index = read(INDEX).unwrap();

    let versions = |chart| {
        index
            .versions(chart)
            .iter()
            .map(Version::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(versions("web"), ["2.0.0-rc.1", "1.10.0", "1.2.0"]);
    assert_eq!(versions("broken"), ["0.2.0"]);
    assert_eq!(versions("nothing"), [""; 0]);
    let skipped: Vec<_> = index
        .skipped
        .iter()
        .map(|s| (s.chart.as_str(), s.position))
        .collect();
    assert_eq!(
        skipped,
        [
            ("broken", 0),
            ("broken", 1),
            ("broken", 2),
            ("broken", 3),
            ("broken", 4),
            ("wrong", 0),
            ("torn", 0),
            ("web", 0)
        ]
    );
    assert!(
        index.skipped[0]
            .reason
            .contains("`not-a-version` is not a version")
    );
}

#[test]
fn what_is_no_index_says_so() {
    for (text, words) in [
        ("", "empty"),
        ("# nothing\n", "empty"),
        (
            "<html><body>Sign in</body></html>",
            "check the repository's address",
        ),
        ("entries: {}\n", "it has no apiVersion"),
        ("[1, 2]", "it is not a mapping"),
        ("apiVersion: v1\nentries: []\n", "entries are not a mapping"),
        (
            "apiVersion: v1\nentries: {a: [\n",
            "check the repository's address",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    let small = IndexBudget {
        bytes: 10,
        ..IndexBudget::default()
    };
    assert!(Index::read(INDEX.as_bytes(), &small).is_err());
}

#[test]
fn an_index_may_be_json() {
    let index =
        read(r#"{"apiVersion":"v1","entries":{"web":[{"name":"web","version":"1.0.0","urls":["w.tgz"]}]}}"#);

    assert_eq!(index.unwrap().entries["web"][0].urls, ["w.tgz"]);
}

#[test]
fn the_version_is_chosen_as_helm_does() {
    let index = read(INDEX).unwrap();
    for (wanted, version) in [
        ("", "1.10.0"),
        ("1.2.0", "1.2.0"),
        ("~1.2", "1.2.0"),
        ("1", "1.10.0"),
        (">=1 <1.10", "1.2.0"),
        ("2.0.0-rc.1", "2.0.0-rc.1"),
        (">1.10-0", "2.0.0-rc.1"),
    ] {
        assert_eq!(
            index.resolve("web", wanted).unwrap().metadata.version,
            version,
            "{wanted:?}"
        );
    }
    for (chart, wanted, words) in [
        (
            "web",
            "^3",
            "no version of `web` for `^3`; it has 2.0.0-rc.1, 1.10.0, 1.2.0",
        ),
        ("web", "latest please", "`latest please` is not a range"),
        (
            "nothing",
            "",
            "no version of `nothing` for `the newest stable`; it has none",
        ),
        ("missing", "", "no chart `missing`"),
    ] {
        let error = index.resolve(chart, wanted).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut index = read(INDEX).unwrap();
    index.skipped.clear();
    index.entries.remove("wrong");

    let again = read(&index.to_yaml()).unwrap();

    assert_eq!(again, index);
}

/// What Masterminds/semver 3.5 answered.
#[test]
fn ranges_hold_what_helm_says_they_hold() {
    let corpus = include_str!("constraints.txt");
    let mut asked = 0;
    for line in corpus.lines().filter(|line| !line.starts_with('#')) {
        let (range, held) = line.split_once(" => ").unwrap();
        let parsed = Constraint::parse(range);
        if held == "error" {
            assert!(parsed.is_err(), "{range:?} was read");
            continue;
        }
        let parsed = parsed.unwrap_or_else(|error| panic!("{range:?}: {error}"));
        let held: Vec<&str> = held.split_whitespace().collect();
        for version in VERSIONS {
            let answer = parsed.holds(&Version::parse(version).unwrap());
            assert_eq!(answer, held.contains(&version), "{range:?} and {version}");
            asked += 1;
        }
    }
    assert!(asked > 1000, "{asked} questions");
}

const VERSIONS: [&str; 24] = [
    "0.0.0",
    "0.0.1",
    "0.0.3",
    "0.1.0",
    "0.2.3",
    "0.2.4",
    "0.3.0",
    "1.0.0-alpha",
    "1.0.0",
    "1.0.1",
    "1.1.0",
    "1.2.0",
    "1.2.3",
    "1.2.4",
    "1.3.0",
    "1.10.0",
    "2.0.0-beta.1",
    "2.0.0",
    "2.0.1+build",
    "2.1.0",
    "3.0.0",
    "10.0.0",
    "11.1.0",
    "12.0.0-0",
];

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = read(&text);
        let _ = read(&format!("apiVersion: v1\nentries: {{a: [{text}]}}"));
        let _ = Constraint::parse(&text);
        let _ = Version::parse(&text);
    }
}
