//! The reader and the Go library that `kubectl` uses read the same in every text of the corpus.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use c7n_manifests::{Limits, yaml_to_json};
use serde_json::Value;

/// Cases where we decide otherwise, each for a reason.
///
/// Go reads YAML 1.1 and we read YAML 1.2 where it comes to syntax. No case is here in which both accept a text that one could
/// meet and read something else in it.
const OTHERWISE: &[(&str, Reading)] = &[
    // Escapes of JSON, which the API server takes from JSON files.
    (
        r#"scalars.txt "\x41\u0042\U00000043\n\t\\\"\e\0\_\N\L\P\/""#,
        Reading::WeAccept,
    ),
    ("json document", Reading::WeAccept),
    // The parser wants flow collections indented deeper than their key. The error says so.
    ("flow less indented", Reading::WeRefuse),
    (r#""a:\n  b: {\n    c: 1\n}\n""#, Reading::WeRefuse),
    (r#""a:\n  b: [\n    1\n]\nc: 1\n""#, Reading::WeRefuse),
    (r#""a:\n- b: [\n  1\n  ]\n""#, Reading::WeRefuse),
    // A byte order mark inside a file would become part of a key.
    (r#""a: 1\n\ufeffb: 2\n""#, Reading::WeRefuse),
    // Tabs between tokens.
    (r#""a:\tb\n""#, Reading::WeRefuse),
    (r#""a: {b:\t1}\n""#, Reading::WeRefuse),
    (r#""\ta: 1\n""#, Reading::WeAccept),
    (r#""a:\n  - b\n  -\tc\n""#, Reading::WeAccept),
    (r#""a: b\n\t\nc: d\n""#, Reading::WeAccept),
    // Line breaks of YAML 1.1 that are characters in 1.2.
    (r#""a: x\u0085y\n""#, Reading::WeAccept),
    (r#""a: x\u2028y\n""#, Reading::WeAccept),
    // Go drops what follows the first scalar.
    (r#""\"a\":1\n""#, Reading::WeRefuse),
    (r#""a: &a-b.c 1\nb: *a-b.c\n""#, Reading::WeAccept),
    (r#""x: [::1, a]\n""#, Reading::WeAccept),
    // `?a` in a flow list: text in YAML 1.2, a key without value in 1.1.
    (r#""x: [?a, -b]\n""#, Reading::Differs),
];

#[derive(Debug, PartialEq)]
enum Reading {
    WeAccept,
    WeRefuse,
    Differs,
}

#[test]
fn every_text_means_what_kubernetes_reads_in_it() {
    let corpus = include_str!("golden/expected.jsonl");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (name, yaml) = (case["name"].as_str().unwrap(), case["yaml"].as_str().unwrap());
        cases += 1;
        let ours = yaml_to_json("case.yaml", yaml.as_bytes(), &Limits::default()).map(first_document);
        // The strict Go reader also counts a key that overrides a merged one as set twice; the API server does not.
        let refused = case.get("json").is_none() || (case.get("strict").is_some() && !yaml.contains("<<"));
        let expected = OTHERWISE
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, reading)| reading);
        let reading = match (refused, &ours) {
            (true, Err(_)) => None,
            (true, Ok(_)) => Some(Reading::WeAccept),
            (false, Err(_)) => Some(Reading::WeRefuse),
            (false, Ok(found)) if *found == case["json"] => None,
            (false, Ok(_)) => Some(Reading::Differs),
        };
        match reading {
            reading if reading.as_ref() == expected => {}
            _ => wrong.push(format!(
                "{name:?}\n  yaml {yaml:?}\n  go   {line}\n  ours {ours:?}"
            )),
        }
    }
    assert!(cases >= 150, "the corpus has only {cases} cases");
    assert!(
        wrong.is_empty(),
        "{} of {cases} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Go reads the first document of a stream; Kubernetes splits streams before.
fn first_document(documents: Vec<Value>) -> Value {
    documents.into_iter().next().unwrap_or_default()
}
