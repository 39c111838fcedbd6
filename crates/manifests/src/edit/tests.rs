//! What a change leaves alone, and what it refuses.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::yaml_to_json;

fn edit(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    edit_document("web.yaml", text.as_bytes(), 0, edits)
}

fn set(text: &str, path: &[&str], value: impl Into<Value>) -> String {
    edit(text, &[Edit::set(path, value)]).unwrap()
}

const RELEASE: &str = "\
# The shop's front.
apiVersion: choerodon.io/v1alpha1
kind: C7NHelmRelease
metadata:
  name: web   # as people know it
  labels: {team: front}

spec:
  repoUrl: \"https://charts.example.com/shop\"
  chartName: web
  # pinned: 1.3 needs the new gateway
  chartVersion: 1.2.0 # ask ann
  values: |
    # two for now
    replicas: 2

    image:
      tag: \"7\"

# the end
";

#[test]
fn a_scalar_changes_and_nothing_around_it() {
    let new = set(RELEASE, &["spec", "chartVersion"], "1.3.0");
    assert_eq!(
        new,
        RELEASE.replace("chartVersion: 1.2.0 # ask", "chartVersion: 1.3.0 # ask")
    );
    // Quotes stay, and come where a bare word would be read as something else.
    let new = set(RELEASE, &["spec", "repoUrl"], "oci://r.example.com/a");
    assert_eq!(
        new,
        RELEASE.replace("https://charts.example.com/shop", "oci://r.example.com/a")
    );
    let new = set(RELEASE, &["spec", "chartVersion"], "1.10");
    assert_eq!(
        new,
        RELEASE.replace("chartVersion: 1.2.0 #", "chartVersion: \"1.10\" #")
    );
}

#[test]
fn a_block_of_values_is_replaced_within_its_indentation() {
    let new = set(RELEASE, &["spec", "values"], "replicas: 3\n\n# mine\nname: x\n");
    let wanted = RELEASE.replace(
        "    # two for now\n    replicas: 2\n\n    image:\n      tag: \"7\"\n",
        "    replicas: 3\n\n    # mine\n    name: x\n",
    );
    assert_eq!(new, wanted);
}

#[test]
fn what_is_missing_comes_at_the_end_of_its_mapping() {
    let new = set(RELEASE, &["spec", "stopped"], true);
    assert_eq!(
        new,
        RELEASE.replace("      tag: \"7\"\n", "      tag: \"7\"\n  stopped: true\n")
    );
    let back = edit(&new, &[Edit::remove(&["spec", "stopped"])]).unwrap();
    assert_eq!(back, RELEASE);
    let new = set(RELEASE, &["metadata", "annotations", "why"], "it: depends");
    assert_eq!(
        new,
        RELEASE.replace(
            "  labels: {team: front}\n",
            "  labels: {team: front}\n  annotations:\n    why: \"it: depends\"\n"
        )
    );
    // The last line of a file without a line end.
    assert_eq!(set("a: 1", &["b"], "x\ny\n"), "a: 1\nb: |\n  x\n  y\n");
}

#[test]
fn values_change_their_form_where_they_must() {
    let cases = [
        (
            "a: 1 # why\nb: 2\n",
            json!("x\ny\n"),
            "a: | # why\n  x\n  y\nb: 2\n",
        ),
        (
            "a: |- # why\n    x\n    y\nb: 2\n",
            json!("z"),
            "a: z # why\nb: 2\n",
        ),
        ("a: # why\nb: 2\n", json!("z"), "a: z # why\nb: 2\n"),
        (
            "a:\nb: 2\n",
            json!({"c": [1, "x"], "d": {}}),
            "a:\n  c:\n    - 1\n    - x\n  d: {}\nb: 2\n",
        ),
        (
            "a:\n    c: 1\n    # gone with it\n    d: 2\nb: 2\n",
            json!("z"),
            "a: z\nb: 2\n",
        ),
        ("a: {c: 1}\nb: 2\n", json!({"c": 2}), "a:\n  c: 2\nb: 2\n"),
        ("a: 'it'\nb: 2\n", json!("it's"), "a: 'it''s'\nb: 2\n"),
        (
            "a: |\n  x\nb: 2\n",
            json!("  deep\nx\n"),
            "a: |2\n    deep\n  x\nb: 2\n",
        ),
        ("a: |\n  x\nb: 2\n", json!("x\n\n\n"), "a: |+\n  x\n\n\nb: 2\n"),
        ("a: |\n  x\n\n\nb: 2\n", json!("z"), "a: z\n\n\nb: 2\n"),
        (
            "a: x\nb: 2\n",
            json!("tab\there\r\nx"),
            "a: \"tab\\there\\r\\nx\"\nb: 2\n",
        ),
    ];
    for (before, value, after) in cases {
        assert_eq!(set(before, &["a"], value.clone()), after, "{before} {value}");
    }
}

#[test]
fn line_ends_and_the_mark_at_the_beginning_stay() {
    let text = format!("\u{feff}{}", RELEASE.replace('\n', "\r\n"));
    let new = set(&text, &["spec", "values"], "a: ü\nb: 1\n");
    assert!(new.starts_with('\u{feff}'));
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    assert_eq!(
        yaml_to_json("f", new.as_bytes(), &Limits::default()).unwrap()[0]["spec"]["values"],
        "a: ü\nb: 1\n"
    );
}

#[test]
fn other_documents_stay() {
    let text = format!("# all\n---\n# one\na: 1\n---\n{RELEASE}---\nc: 3 # end");
    let new = edit_document(
        "f",
        text.as_bytes(),
        1,
        &[Edit::set(&["spec", "chartName"], "api")],
    )
    .unwrap();
    assert_eq!(new, text.replace("chartName: web", "chartName: api"));

    let left = |document| remove_document("f", text.as_bytes(), document).unwrap();
    assert_eq!(
        left(0),
        Remainder::Text(format!("# all\n---\n{RELEASE}---\nc: 3 # end"))
    );
    assert_eq!(
        left(1),
        Remainder::Text("# all\n---\n# one\na: 1\n---\nc: 3 # end".into())
    );
    assert_eq!(
        left(2),
        Remainder::Text(format!("# all\n---\n# one\na: 1\n---\n{RELEASE}"))
    );

    let first = "# licence\n\n# one\na: 1\n---\nb: 2\n";
    assert_eq!(
        remove_document("f", first.as_bytes(), 0).unwrap(),
        Remainder::Text("# licence\n\n---\nb: 2\n".into())
    );
    for alone in ["a: 1\n", "---\n---\na: 1\n---\n# nothing\n"] {
        let document = usize::from(alone.starts_with('-'));
        assert_eq!(
            remove_document("f", alone.as_bytes(), document).unwrap(),
            Remainder::Nothing
        );
    }
}

#[test]
fn a_document_comes_back_as_it_was() {
    let text = format!("a: 1\n---\n{RELEASE}---\nc: 3\n");
    assert_eq!(document_text("f", text.as_bytes(), 1).unwrap(), RELEASE);
    let changed = edit_document(
        "f",
        text.as_bytes(),
        1,
        &[Edit::set(&["spec", "values"], "x: 1\ny: 2\n")],
    )
    .unwrap();
    assert_ne!(changed, text);
    assert_eq!(
        replace_document("f", changed.as_bytes(), 1, RELEASE).unwrap(),
        text
    );
    assert!(replace_document("f", changed.as_bytes(), 1, "a: 1\n---\nb: 2\n").is_err());
}

#[test]
fn what_cannot_be_changed_safely_is_named_with_its_line() {
    let cases = [
        ("a: 1\nspec: {x: 1}\n", "2: `x` stands in flow style"),
        ("{\"spec\": {\"x\": 1}}\n", "1: `spec` stands in flow style"),
        ("a: &v 1\nspec:\n  x: *v\n", "3: the value has an anchor"),
        ("a: &v {x: 1}\nspec: *v\n", "2: `x` comes from an alias"),
        (
            "a: &v {x: 1}\nspec:\n  <<: *v\n",
            "3: the mapping has a merge key",
        ),
        ("spec:\n- x: 1\n", "2: `x` would stand in a list"),
        ("spec:\n  x: !!str 1\n", "has an anchor, an alias or a tag"),
        ("spec:\n  ? x\n  : 1\n", "keys that are more than words"),
        ("spec: word\n", "`spec` is no mapping"),
    ];
    for (text, what) in cases {
        let error = edit(text, &[Edit::set(&["spec", "x"], "y")]).unwrap_err();
        assert!(matches!(error, EditError::Unsafe { .. }), "{text}: {error}");
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
    let error = edit("a: [1\n", &[Edit::set(&["a"], 1)]).unwrap_err();
    assert!(matches!(error, EditError::Unreadable(_)), "{error}");
    // An anchor that something else lives on.
    let shared = "a:\n  b: &v 1\n  c: 2\nd: *v\n";
    assert!(edit(shared, &[Edit::remove(&["a", "b"])]).is_err());
}

#[test]
fn an_item_of_a_list_is_no_document() {
    let list =
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n";
    let alone = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    for (text, is_whole) in [(list, false), (alone, true)] {
        let objects = crate::parse_file("f.yaml", text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(is_whole_document(text.as_bytes(), &objects[0]).is_ok(), is_whole);
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}",
        Just("true".to_owned()),
        Just("1.10".to_owned()),
        "[ -~]{0,12}",
        "[ -~äß\u{4e2d}]{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => word(),
        2 => proptest::collection::vec(prop_oneof![3 => "[ -~]{0,10}", 1 => Just(String::new())], 1..5)
            .prop_map(|lines| lines.join("\n")),
        2 => proptest::collection::vec("[ -~]{0,10}", 1..5).prop_map(|lines| lines.join("\n") + "\n"),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::String),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i32>().prop_map(|number| json!(number)),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value as somebody might have written it under the key `NAME` that stands in column `at`.
fn written(at: usize) -> impl Strategy<Value = String> {
    let pad = " ".repeat(at + 2);
    prop_oneof![
        Just(String::new()),
        Just(" # nothing yet".to_owned()),
        Just(" word".to_owned()),
        Just(" 'single'   # why".to_owned()),
        Just(" \"double\"".to_owned()),
        Just(" [1, 2] # list".to_owned()),
        Just(format!(
            " |\n{pad}text\n\n{pad}  more # no comment\n{pad}# none either"
        )),
        Just(format!(" >- # folded\n{pad} a\n{pad} b\n")),
        Just(format!("\n{pad}- 1\n{pad}# between\n{pad}- 2 # two")),
        Just(format!(
            "\n{pad}inner: 1\n\n{pad}# between\n{pad}other: |+\n{pad}   x\n"
        )),
        Just(format!(" \"over\n{pad}lines\" # why")),
    ]
}

fn document() -> impl Strategy<Value = String> {
    let part = |at: usize| {
        (
            "[a-d]",
            written(at),
            prop_oneof![Just(""), Just("# a comment\n"), Just("\n")],
        )
    };
    (
        proptest::collection::vec(part(2), 1..4),
        proptest::collection::vec(part(0), 0..3),
    )
        .prop_map(|(inside, outside)| {
            let mut text = "# head\nspec:\n".to_owned();
            let mut seen = std::collections::BTreeSet::new();
            for (key, value, after) in inside {
                if seen.insert(key.clone()) {
                    let after = if after.is_empty() {
                        String::new()
                    } else {
                        format!("  {}", after.trim_start())
                    };
                    text.push_str(&format!(
                        "  {key}:{value}\n{}",
                        if after.trim().is_empty() { "" } else { &after }
                    ));
                }
            }
            seen.clear();
            for (key, value, after) in outside {
                if seen.insert(key.clone()) {
                    text.push_str(&format!("{key}:{value}\n{after}"));
                }
            }
            text
        })
}

/// Lines at the beginning and the end that are the same in both.
fn common(before: &str, after: &str) -> (usize, usize) {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let tail = a[head..]
        .iter()
        .rev()
        .zip(b[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    (head, tail)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_document_is_what_was_wanted(text in document(), key in "[a-e]", new in value()) {
        let read = |text: &str| yaml_to_json("f", text.as_bytes(), &Limits::default());
        let Ok(before) = read(&text) else { return Ok(()) };
        for edit in [Edit::set(&["spec", &key], new.clone()), Edit::set(&[&key], new.clone())] {
            let mut wanted = before.clone();
            edit.apply_to(&mut wanted[0]);
            let after = edit_document("f", text.as_bytes(), 0, std::slice::from_ref(&edit))
                .unwrap_or_else(|error| panic!("{error}\n{text}\n{edit:?}"));
            prop_assert_eq!(read(&after).unwrap(), wanted);
            // Only one stretch of lines has changed, and it holds nothing but the key and its value.
            let (head, tail) = common(&text, &after);
            let changed: Vec<&str> = text.lines().skip(head).take(text.lines().count() - head - tail).collect();
            let keys = changed.iter().filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.contains(':'));
            if matches!(&edit, Edit::Set { path, .. } if path.len() == 2) {
                prop_assert!(keys.count() <= 1, "{}\n=>\n{}", text, after);
            }
        }
    }

    #[test]
    fn removing_a_key_that_was_added_gives_the_file_back(text in document(), new in value()) {
        if yaml_to_json("f", text.as_bytes(), &Limits::default()).is_err() { return Ok(()) }
        let added = edit_document("f", text.as_bytes(), 0, &[Edit::set(&["spec", "zzz"], new)]).unwrap();
        let back = edit_document("f", added.as_bytes(), 0, &[Edit::remove(&["spec", "zzz"])]).unwrap();
        prop_assert_eq!(back, text);
    }

    #[test]
    fn a_rendered_value_reads_back(value in value()) {
        let text = render(&json!({"a": value, "b": [value, {"c": value}]}));
        let read = yaml_to_json("f", text.as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(&read[0]["a"], &value, "{}", text);
        prop_assert_eq!(&read[0]["b"][1]["c"], &value, "{}", text);
    }
}
