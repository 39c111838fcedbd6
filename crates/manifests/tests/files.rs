//! From files to the tree of an environment: what is taken, what is refused, and in which words.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use c7n_manifests::{
    Change, Confinement, ErrorCode, FileError, GroupKind, Limits, Object, Scope, Tree, assemble,
    builtin_scope, carry_over, compare, confine, is_manifest_path, parse_file, survey,
};
use proptest::prelude::*;

fn tree_of(files: &[(&str, &str)]) -> Tree {
    tree_within(files, &Confinement::to("shop"))
}

fn tree_within(files: &[(&str, &str)], confinement: &Confinement) -> Tree {
    let parsed = files.iter().map(|(path, text)| {
        (
            (*path).to_owned(),
            parse_file(path, text.as_bytes(), &Limits::default()),
        )
    });
    assembled(parsed.collect(), confinement, &builtin_scope)
}

type Parsed = Result<Vec<Object>, Vec<FileError>>;

/// Whoever needs names and digests alone must find the same.
fn assembled(
    files: Vec<(String, Parsed)>,
    confinement: &Confinement,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
) -> Tree {
    let short = survey(files.iter().map(|(_, outcome)| outcome), confinement, scope);
    let tree = assemble(files, confinement, scope);
    assert_eq!((short.index, short.errors), (tree.index(), tree.errors.clone()));
    tree
}

fn ids(tree: &Tree) -> Vec<String> {
    tree.objects.iter().map(|object| object.id.to_string()).collect()
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[test]
fn every_error_says_what_is_wrong_and_what_to_do() {
    let files = [
        ("syntax.yaml", "a: [1\nb: 2\n"),
        (
            "tab.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n",
        ),
        (
            "template.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n",
        ),
        ("block-template.yaml", "{{- if .Values.x }}\na: 1\n{{- end }}\n"),
        ("flow.yaml", "a:\n  b: {\n    c: 1\n}\n"),
        (
            "duplicate-key.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: 1\n  k: 2\n  k: 3\n",
        ),
        (
            "nan.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: .nan}\n",
        ),
        ("tag.yaml", "a: !!int x\n"),
        ("merge.yaml", "a:\n  <<: 1\n"),
        ("key.yaml", "? [a]\n: b\n"),
        ("text.yaml", "just text\n"),
        ("no-version.yaml", "kind: ConfigMap\nmetadata: {name: a}\n"),
        (
            "bad-version.yaml",
            "apiVersion: Apps/v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        ),
        ("no-kind.yaml", "apiVersion: v1\nmetadata: {name: a}\n"),
        ("bad-kind.yaml", "apiVersion: v1\nkind: 12\nmetadata: {name: a}\n"),
        ("no-metadata.yaml", "apiVersion: v1\nkind: ConfigMap\n"),
        (
            "no-name.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {}\n",
        ),
        (
            "generate-name.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: x-\n",
        ),
        (
            "number-name.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 0644\n",
        ),
        (
            "slash-name.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ../../x\n",
        ),
        (
            "bad-namespace.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  namespace: kube/system\n",
        ),
        (
            "labels.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  labels:\n    on: \"1\"\n    version: 1.0\n    x: yes\n",
        ),
        (
            "labels-list.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  labels: [a]\n",
        ),
        (
            "reserved.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  labels:\n    choerodon.io/env: x\n  annotations:\n    applyset.kubernetes.io/id: x\n",
        ),
        (
            "own.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c7n-environment}\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: c7n-environment\n",
        ),
        (
            "foreign.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: b\n  namespace: kube-system\n",
        ),
        (
            "cluster.yaml",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: all\n",
        ),
        (
            "one.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: twice}\n",
        ),
        (
            "two.yaml",
            "# also\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: twice, namespace: shop}\n",
        ),
        (
            "self.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: me}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: me}\n",
        ),
        ("good.yaml", MAP),
    ];
    let tree = tree_of(&files);
    let said: Vec<String> = tree
        .errors
        .iter()
        .map(|e| format!("{e}\n    [{}] {}", e.code, e.object.as_deref().unwrap_or("-")))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(ids(&tree), ["ConfigMap shop/a"], "only the good file is left");
    assert_eq!(tree.held_files().len(), files.len() - 1);
}

#[test]
fn lists_and_several_documents_are_taken_apart() {
    let tree = tree_of(&[
        (
            "list.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Secret, metadata: {name: x}}\n",
        ),
        (
            "many.yaml",
            "# nothing\n---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n---\n# end\n",
        ),
        (
            "typed.yaml",
            "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: d}\n",
        ),
        ("empty.yaml", "# nothing at all\n"),
    ]);
    assert_eq!(tree.errors, []);
    assert_eq!(
        ids(&tree),
        [
            "Service shop/s",
            "Secret shop/x",
            "ConfigMap shop/m",
            "apps/Deployment shop/d"
        ]
    );
    assert_eq!(tree.objects[1].source.line(), 10);
    assert_eq!(tree.objects[2].source.document, 1);
    assert_eq!(tree.objects[3].value["apiVersion"], "apps/v1");
}

#[test]
fn a_list_with_one_bad_item_holds_its_file_and_no_other() {
    let bad = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: s}\n- nonsense\n";
    let tree = tree_of(&[("bad.yaml", bad), ("good.yaml", MAP)]);
    assert_eq!(ids(&tree), ["ConfigMap shop/a"]);
    assert_eq!(tree.errors[0].code, ErrorCode::NotAnObject);
    assert_eq!((tree.errors[0].line, tree.errors[0].column), (7, 3));
}

#[test]
fn cluster_scoped_kinds_pass_where_allowed_and_lose_their_namespace() {
    let allowed = Confinement::to("shop").allowing([GroupKind::new("", "Namespace")]);
    let tree = tree_within(
        &[(
            "ns.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, namespace: x}\n",
        )],
        &allowed,
    );
    assert_eq!(ids(&tree), ["Namespace shop"]);
    assert_eq!(
        tree.objects[0].value["metadata"]["namespace"],
        serde_json::Value::Null
    );
}

#[test]
fn a_custom_kind_has_the_scope_its_definition_declares_and_discovery_has_the_last_word() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: t.example.org}\nspec:\n  group: example.org\n  scope: Cluster\n  names: {kind: Tenant}\n";
    let resource = "apiVersion: example.org/v1\nkind: Tenant\nmetadata: {name: t}\n";
    let allowed = Confinement::to("shop")
        .allowing([GroupKind::new("apiextensions.k8s.io", "CustomResourceDefinition")]);

    let alone = tree_within(&[("t.yaml", resource)], &allowed);
    assert_eq!(
        ids(&alone),
        ["example.org/Tenant shop/t"],
        "unknown kinds are namespaced"
    );

    let together = tree_within(&[("crd.yaml", definition), ("t.yaml", resource)], &allowed);
    assert_eq!(together.errors[0].code, ErrorCode::ClusterScoped);

    let objects = parse_file("t.yaml", resource.as_bytes(), &Limits::default()).unwrap();
    let discovered = confine(objects, &allowed, &|_| Some(Scope::Cluster));
    assert_eq!(discovered.unwrap_err()[0].code, ErrorCode::ClusterScoped);
}

#[test]
fn comments_and_order_change_no_digest_and_the_namespace_of_the_environment_neither() {
    let a = tree_of(&[(
        "a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"1\", y: \"2\"}\n",
    )]);
    let b = tree_within(
        &[(
            "a.yaml",
            "# c\nkind: ConfigMap\napiVersion: v1\ndata:\n  y: '2'\n  x: '1'\nmetadata:\n  name: a\n",
        )],
        &Confinement::to("other"),
    );
    assert_eq!(a.objects[0].digest, b.objects[0].digest);
}

#[test]
fn paths_of_manifests() {
    for path in ["a.yaml", "x/y/a.yml", "a.JSON", "x.y/a.b.yaml"] {
        assert!(is_manifest_path(path), "{path}");
    }
    for path in [
        "a.txt",
        ".github/a.yaml",
        "x/.git/a.yaml",
        ".gitlab-ci.yml",
        "yaml",
        "a/",
        "",
        "x//a.yaml",
        "../a.yaml",
    ] {
        assert!(!is_manifest_path(path), "{path}");
    }
}

#[test]
fn records_tell_what_changed_and_leave_held_files_alone() {
    let map = |name: &str, value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{k: {value}}}\n")
    };
    let old = tree_of(&[
        ("changed.yaml", &map("changed", "a")),
        ("same.yaml", &map("same", "a")),
        ("gone.yaml", &map("gone", "a")),
        ("moved.yaml", &map("moved", "a")),
        ("broken.yaml", &map("kept", "a")),
    ]);
    let new = tree_of(&[
        ("changed.yaml", &map("changed", "b")),
        ("same.yaml", &map("same", "a")),
        ("elsewhere.yaml", &map("moved", "a")),
        ("new.yaml", &map("new", "a")),
        ("broken.yaml", "a: ["),
    ]);
    let records = compare(&old.index(), &new.index(), &new.held_files());
    let told: Vec<_> = records
        .iter()
        .map(|r| (r.change, r.id.name.as_str(), r.file.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Change::Update, "changed", "changed.yaml"),
            (Change::Delete, "gone", "gone.yaml"),
            (Change::Update, "moved", "elsewhere.yaml"),
            (Change::Create, "new", "new.yaml"),
        ]
    );
    let index = carry_over(&old.index(), new.index(), &new.held_files());
    assert!(compare(&index, &new.index(), &new.held_files()).is_empty());
    assert_eq!(
        compare(&index, &old.index(), &BTreeSet::new()).len(),
        4,
        "going back is told too"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever files say, what passes is in the namespace of the environment or of an allowed kind.
    #[test]
    fn confinement_lets_nothing_out(
        objects in proptest::collection::vec(
            (
                prop_oneof![
                    Just("v1/ConfigMap"), Just("v1/Namespace"), Just("example.org/v1/Thing"),
                    Just("rbac.authorization.k8s.io/v1/ClusterRole"), Just("apps/v1/Deployment"),
                ],
                "[a-c]",
                prop_oneof![Just(None), Just(Some("shop")), Just(Some("kube-system")), Just(Some(""))],
                0..3usize,
            ),
            0..12,
        ),
        discovered in proptest::option::of(prop_oneof![Just(Scope::Cluster), Just(Scope::Namespaced)]),
    ) {
        let mut files = [String::new(), String::new(), String::new()];
        for (kind, name, namespace, file) in &objects {
            let (version, kind) = kind.rsplit_once('/').unwrap();
            let namespace = namespace.map(|n| format!(", namespace: '{n}'")).unwrap_or_default();
            files[*file].push_str(&format!("---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}{namespace}}}\n"));
        }
        let confinement = Confinement::to("shop").allowing([GroupKind::new("", "Namespace")]);
        let parsed = files.iter().enumerate().map(|(at, text)| {
            let path = format!("{at}.yaml");
            let parsed = parse_file(&path, text.as_bytes(), &Limits::default());
            (path, parsed)
        });
        let tree = assembled(parsed.collect(), &confinement, &|_| discovered);
        let held = tree.held_files();
        let mut seen = BTreeSet::new();
        for object in &tree.objects {
            match &object.id.namespace {
                Some(namespace) => prop_assert_eq!(namespace, "shop"),
                None => prop_assert_eq!(object.id.group_kind(), GroupKind::new("", "Namespace")),
            }
            prop_assert_eq!(object.value["metadata"]["namespace"].as_str(), object.id.namespace.as_deref());
            prop_assert!(!held.contains(&object.source.file));
            prop_assert!(seen.insert(object.id.clone()), "{} is there twice", object.id);
        }
    }
}
