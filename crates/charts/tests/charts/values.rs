//! Values: `--set`, the schema's word on them, and what a new version of a chart means for them.

use std::time::{Duration, Instant};

use c7n_charts::values::{
    ConflictKind, SetKind, ValuesError, check_schema, merge, overlay, parse_values, set,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn typed(expressions: &[&str]) -> Result<Value, ValuesError> {
    let mut values = Map::new();
    for expression in expressions {
        set(&mut values, expression, SetKind::Typed)?;
    }
    Ok(Value::Object(values))
}

/// Expressions and what they mean. The test with the real `helm` asks it the same.
pub fn expressions() -> Vec<(&'static [&'static str], Value)> {
    vec![
        (&["a=1"], json!({"a": 1})),
        (&["a.b.c=x,d=y"], json!({"a": {"b": {"c": "x"}}, "d": "y"})),
        (&["a.b=1", "a.c=2"], json!({"a": {"b": 1, "c": 2}})),
        (
            &["a=true,b=FALSE,c=yes,d=on"],
            json!({"a": true, "b": false, "c": "yes", "d": "on"}),
        ),
        (
            &["a=0,b=00,c=007,d=-5,e=+5,f=1.5,g=1e3"],
            json!({"a": 0, "b": "00", "c": "007", "d": -5, "e": 5, "f": "1.5", "g": "1e3"}),
        ),
        (
            &["a=9223372036854775807,b=9223372036854775808"],
            json!({"a": i64::MAX, "b": "9223372036854775808"}),
        ),
        (&["a="], json!({"a": ""})),
        (&["a=,b=1"], json!({"a": "", "b": 1})),
        (&["a=b=c"], json!({"a": "b=c"})),
        (&["a={x,1,true}"], json!({"a": ["x", 1, true]})),
        (&["a={x},b=1"], json!({"a": ["x"], "b": 1})),
        (&["a={}"], json!({"a": [""]})),
        (&["a={x\\,y,z}"], json!({"a": ["x,y", "z"]})),
        (&["a[0]=x,a[1]=y"], json!({"a": ["x", "y"]})),
        (&["a[0].b=1,a[0].c=2"], json!({"a": [{"b": 1, "c": 2}]})),
        (&["a[0][1]=x"], json!({"a": [[null, "x"]]})),
        (&["a[2]=x"], json!({"a": [null, null, "x"]})),
        (&["a[1].b=1", "a[0].b=2"], json!({"a": [{"b": 2}, {"b": 1}]})),
        (&["a\\.b=1"], json!({"a.b": 1})),
        (
            &["node\\.kubernetes\\.io/role.x=1"],
            json!({"node.kubernetes.io/role": {"x": 1}}),
        ),
        (&["a=x\\,y"], json!({"a": "x,y"})),
        (&["a=x\\\\y"], json!({"a": "x\\y"})),
        (&["a=x y"], json!({"a": "x y"})),
        (&["a=ä{b}"], json!({"a": "ä{b}"})),
        (&["a=1,"], json!({"a": 1})),
        (&["=1,a=2"], json!({"a": 2})),
        (&["a=1", "a=2"], json!({"a": 2})),
        (&["a=https://h/p?q=1"], json!({"a": "https://h/p?q=1"})),
    ]
}

#[test]
fn expressions_mean_what_they_mean_to_helm() {
    for (given, values) in expressions() {
        assert_eq!(typed(given), Ok(values), "{given:?}");
    }
    // Helm takes `null` out before anybody sees it.
    assert_eq!(typed(&["a=null,b=Null"]), Ok(json!({"a": null, "b": null})));
    assert_eq!(typed(&[""]), Ok(json!({})));
}

#[test]
fn everything_is_text_where_text_is_asked_for() {
    let mut values = Map::new();

    set(&mut values, "a=1,b=true,c={2,x},d[0]=null", SetKind::Text).unwrap();

    assert_eq!(
        Value::Object(values),
        json!({"a": "1", "b": "true", "c": ["2", "x"], "d": ["null"]})
    );
}

#[test]
fn a_refused_expression_changes_nothing_and_says_why() {
    for (expression, words) in [
        ("a", "`a` has no value"),
        ("a,b=1", "`a` has no value before the comma"),
        ("a.b", "`b` has no value"),
        ("a={x", "a list ends with `}`"),
        ("a[x]=1", "`x` is no index"),
        ("a[-1]=1", "the index -1 is negative"),
        ("a[65537]=1", "is above 65536"),
        ("a[0]b=1", "`b` stands after `]`"),
        ("a[0=1", "an index ends with `]`"),
        ("list.x=1", "`list` is no mapping"),
        ("map[0]=1", "`map` is no list"),
        ("word.x=1", "`word` is no mapping"),
        ("map.y=1,map[0]=hunter2", "`map` is no list"),
        (
            "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1",
            "nested more than 30",
        ),
    ] {
        let before = json!({"list": [1], "map": {"x": 1}, "word": "w"});
        let mut values = before.as_object().unwrap().clone();

        let error = set(&mut values, expression, SetKind::Typed)
            .unwrap_err()
            .to_string();

        assert!(
            error.contains(words) && !error.contains("hunter2"),
            "{words:?} is not in {error:?}"
        );
        assert_eq!(Value::Object(values), before, "{expression}");
    }
}

#[test]
fn values_are_held_against_the_schema() {
    let schema = r##"{
      "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["image"], "additionalProperties": false,
      "properties": {"replicas": {"type": "integer", "minimum": 1}, "image": {"$ref": "#/definitions/image"},
        "hosts": {"type": "array", "items": {"type": "string", "pattern": "^[a-z.]+$"}}},
      "definitions": {"image": {"type": "object", "properties": {"x.tag": {"type": "string"}, "password": {"maxLength": 3}}}}}"##;
    let findings = |values: Value| match check_schema(schema, &values) {
        Ok(()) => Vec::new(),
        Err(ValuesError::Unfit(findings)) => findings.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    };

    assert_eq!(
        findings(json!({"image": {"x.tag": "1"}, "replicas": 2, "hosts": ["a.b"]})),
        [""; 0]
    );
    let found = findings(
        json!({"image": {"x.tag": 1, "password": "hunter2"}, "replicas": 0, "hosts": ["a", "B"], "extra": 1}),
    );

    assert_eq!(found.len(), 5, "{found:?}");
    for start in [
        "image.\"x.tag\": ",
        "image.password: ",
        "replicas: ",
        "hosts[1]: ",
    ] {
        assert!(
            found.iter().any(|finding| finding.starts_with(start)),
            "{start} in {found:?}"
        );
    }
    assert!(found.iter().any(|finding| finding.contains("extra")), "{found:?}");
    assert!(
        found.iter().all(|finding| !finding.contains("hunter2")),
        "{found:?}"
    );
    assert_eq!(findings(json!({})), ["\"image\" is a required property"]);
}

#[test]
fn a_schema_that_leads_elsewhere_or_nowhere_is_refused() {
    for schema in [
        r##"{"$ref": "http://169.254.169.254/latest"}"##,
        r##"{"$ref": "https://example.org/schema.json"}"##,
        r##"{"$ref": "file:///etc/passwd"}"##,
        r##"{"properties": {"a": {"$ref": "other.json#/x"}}}"##,
        r##"{"$ref": "#/definitions/missing"}"##,
        r##"{"pattern": "("}"##,
        r##"{"type": "toy"}"##,
        "{",
        "",
        "[]",
        r##"{"allOf": [{"$ref": "#"}]}"##,
    ] {
        let refused = check_schema(schema, &json!({"a": 1}));
        assert!(
            matches!(refused, Err(ValuesError::Schema(_))),
            "{schema}: {refused:?}"
        );
    }
}

/// Forty levels, each asking for the next one twice: 2^40 steps.
#[test]
fn a_schema_that_would_never_end_is_refused_at_once() {
    let mut definitions = Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/definitions/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d40".to_owned(), json!({"type": "object"}));
    let same_value = json!({"$ref": "#/definitions/d0", "definitions": definitions});
    // The same by going down: each level of the values doubles the work.
    let down = json!({"definitions": {"d": {"allOf": [{"properties": {"a": {"$ref": "#/definitions/d"}}},
        {"additionalProperties": {"$ref": "#/definitions/d"}}]}}, "$ref": "#/definitions/d"});
    let deep = (0..60).fold(json!({}), |inner, _| json!({"a": inner}));
    let begun = Instant::now();

    for schema in [same_value, down] {
        let refused = check_schema(&schema.to_string(), &deep);
        assert!(
            matches!(&refused, Err(ValuesError::Schema(words)) if words.contains("too many steps")),
            "{refused:?}"
        );
    }

    // It would be years.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// References in a row, where the values lead to them and where they do not: a reader that follows them needs a deep stack.
#[test]
fn a_long_row_of_references_does_no_harm() {
    let row = |length: usize| {
        let mut definitions = Map::new();
        for at in 0..length {
            let next = format!("#/definitions/d{}", at + 1);
            definitions.insert(format!("d{at}"), json!({"$ref": next}));
        }
        definitions.insert(format!("d{length}"), json!({"type": "integer"}));
        json!({"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/d0"}}}).to_string()
    };
    let refused = |schema: &str, values| matches!(check_schema(schema, &values), Err(ValuesError::Schema(_)));

    for values in [json!({"a": 1}), json!({"b": 1})] {
        assert!(refused(&row(20_000), values));
    }
    assert!(refused(&row(4_000), json!({"a": 1})));
    assert_eq!(check_schema(&row(4_000), &json!({"b": 1})), Ok(()));
    assert_eq!(check_schema(&row(100), &json!({"a": 1})), Ok(()));
    assert!(check_schema(&row(100), &json!({"a": "x"})).is_err());
}

/// Schemas of trees are what people have.
#[test]
fn a_schema_of_a_tree_is_no_bomb() {
    let tree = json!({"definitions": {"t": {"type": "object", "additionalProperties": {"$ref": "#/definitions/t"}}}, "$ref": "#/definitions/t"});
    let deep = (0..60).fold(json!({}), |inner, _| json!({"a": inner.clone(), "b": {}}));

    assert_eq!(check_schema(&tree.to_string(), &deep), Ok(()));
}

#[test]
fn a_new_version_is_compared_key_by_key() {
    use ConflictKind::{Appeared, BothChanged, CopiedDefault, Gone, TypeChanged};
    for (what, old, new, mine, found) in [
        ("nothing changed", "a: 1", "a: 1", "a: 2", &[][..]),
        (
            "only the default changed",
            "a: 1\nb: 1",
            "a: 1\nb: 2",
            "a: 2",
            &[],
        ),
        (
            "the copied default changed",
            "a: 1",
            "a: 2",
            "a: 1",
            &[("a", CopiedDefault)],
        ),
        ("both changed", "a: 1", "a: 2", "a: 3", &[("a", BothChanged)]),
        ("both changed alike", "a: 1", "a: 2", "a: 2", &[]),
        (
            "the key is gone",
            "a: {b: 1}",
            "a: {}",
            "a: {b: 2}",
            &[("a.b", Gone)],
        ),
        (
            "the branch is gone",
            "a: {b: 1}",
            "c: 1",
            "a: {b: 2}",
            &[("a", Gone)],
        ),
        (
            "the key is new",
            "a: {}",
            "a: {b: 1}",
            "a: {b: 2}",
            &[("a.b", Appeared)],
        ),
        (
            "the key is new and says the same",
            "a: {}",
            "a: {b: 1}",
            "a: {b: 1}",
            &[],
        ),
        (
            "a scalar became a mapping",
            "image: web:1",
            "image: {tag: 1}",
            "image: web:2",
            &[("image", TypeChanged)],
        ),
        (
            "a mapping became a scalar",
            "a: {b: 1}",
            "a: x",
            "a: {b: 2}",
            &[("a", TypeChanged)],
        ),
        (
            "a list became a mapping",
            "a: [1]",
            "a: {b: 1}",
            "a: [2]",
            &[("a", TypeChanged)],
        ),
        (
            "a number became text",
            "a: 1",
            "a: '1'",
            "a: 2",
            &[("a", TypeChanged)],
        ),
        (
            "a default was empty before",
            "a: null",
            "a: 1",
            "a: 2",
            &[("a", BothChanged)],
        ),
        (
            "a mapping was empty before",
            "a: null",
            "a: {b: 1}",
            "a: {b: 2}",
            &[("a.b", Appeared)],
        ),
        (
            "keys of my own stay mine",
            "labels: {}",
            "labels: {}",
            "labels: {x.y: 1}",
            &[],
        ),
        ("a key that no version knows", "a: 1", "a: 1", "typo: {b: 1}", &[]),
        (
            "lists are compared whole",
            "a: [1]",
            "a: [1, 2]",
            "a: [1]",
            &[("a", CopiedDefault)],
        ),
        (
            "a default is taken away",
            "a: 1",
            "a: 2",
            "a: null",
            &[("a", BothChanged)],
        ),
        (
            "several places",
            "a: 1\nb: {c: 1, d: 1}",
            "a: 2\nb: {c: 2}",
            "b: {d: 5, c: 1}\na: 9",
            &[("a", BothChanged), ("b.c", CopiedDefault), ("b.d", Gone)],
        ),
        (
            "names with dots",
            "a: {b.c: 1}",
            "a: {b.c: 2}",
            "a: {b.c: 1}",
            &[("a.\"b.c\"", CopiedDefault)],
        ),
        ("no values at all", "a: 1", "a: 2", "", &[]),
        ("charts without defaults", "", "", "a: 1 # mine", &[]),
    ] {
        let merged = merge(old, new, mine).unwrap();
        let places: Vec<_> = merged
            .conflicts
            .iter()
            .map(|c| (c.path.as_str(), c.kind))
            .collect();
        assert_eq!(places, found, "{what}");
        assert_eq!(merged.text, mine, "{what}");
    }
}

#[test]
fn a_conflict_says_what_to_do_and_no_values() {
    let merged = merge("a: hunter1\nb: 1", "a: hunter2\nb: {c: 1}", "a: hunter1\nb: 5").unwrap();

    let words: Vec<String> = merged.conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "`a` is set to what was the default, and the default has changed; yours is kept. Remove the line to follow the chart",
            "`b` is a mapping in the new version and was a number; yours is a number. Write it anew",
        ]
    );
}

#[test]
fn values_that_are_none_say_which() {
    for (old, new, mine, words) in [
        ("a: [", "", "", "the old chart's values.yaml cannot be read: line"),
        ("", "- a", "", "the new chart's values.yaml is not a mapping"),
        ("", "", "text", "the values is not a mapping"),
        (
            "",
            "",
            "a: 1\na: 2",
            "the values cannot be read: line 2: the key `a`",
        ),
    ] {
        let error = merge(old, new, mine).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
}

fn any_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[ab]".prop_map(Value::from)
    ];
    let tree = leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-d]", tree, 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

proptest! {
    /// Two versions with the same defaults, or values that nobody set: nothing to look at.
    #[test]
    fn no_change_is_no_conflict(defaults in any_values(), mine in any_values(), other in any_values()) {
        let (defaults, mine, other) = (defaults.to_string(), mine.to_string(), other.to_string());
        prop_assert_eq!(merge(&defaults, &defaults, &mine).unwrap().conflicts, []);
        prop_assert_eq!(merge(&defaults, &other, "").unwrap().conflicts, []);
    }

    /// Wherever a default changed under a value of mine, there is a word about it.
    #[test]
    fn no_change_goes_unsaid(old in any_values(), new in any_values(), mine in any_values()) {
        let merged = merge(&old.to_string(), &new.to_string(), &mine.to_string()).unwrap();
        for (key, value) in mine.as_object().unwrap() {
            let (before, after) = (old.get(key), new.get(key));
            let is_leaf = !value.is_object();
            if is_leaf && before != after && after != Some(value) {
                prop_assert!(merged.conflicts.iter().any(|conflict| conflict.path == *key), "{key}");
            }
        }
    }

    #[test]
    fn nothing_set_means_the_defaults(defaults in any_values(), mine in any_values()) {
        prop_assert_eq!(overlay(defaults.clone(), &json!({})), defaults.clone());
        let once = overlay(defaults, &mine);
        prop_assert_eq!(overlay(once.clone(), &mine), once);
    }

    #[test]
    fn no_expression_makes_it_panic(expression in "[a-c=,.{}\\[\\]\\\\0-2 ]{0,24}") {
        let mut values = match parse_values("x", "a: {b: 1}\nb: [1]\nc: x") {
            Ok(Value::Object(values)) => values,
            other => panic!("{other:?}"),
        };
        let before = values.clone();
        if set(&mut values, &expression, SetKind::Typed).is_err() {
            prop_assert_eq!(values, before);
        }
    }
}
