//! A figure, not a promise of every machine: `cargo test --release -p c7n-manifests --test speed -- --ignored --nocapture`.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use c7n_manifests::{Confinement, Limits, PrunePolicy, assemble, builtin_scope, parse_file, plan};

#[test]
#[ignore = "a measurement"]
fn ten_thousand_small_files_in_two_seconds() {
    let files: Vec<(String, String)> = (0..10_000)
        .map(|at| {
            let text = format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{at}\n  labels: {{app: web}}\nspec:\n  replicas: 2\n  \
                 selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n    spec:\n      \
                 containers:\n      - name: web\n        image: example.org/web:1.{at}\n        ports:\n        - containerPort: 8080\n        \
                 env:\n        - {{name: A, value: \"1\"}}\n        resources:\n          limits: {{cpu: 100m, memory: 64Mi}}\n"
            );
            (format!("apps/{at}.yaml"), text)
        })
        .collect();

    let start = Instant::now();
    let parsed: Vec<_> = files
        .iter()
        .map(|(path, text)| {
            (
                path.clone(),
                parse_file(path, text.as_bytes(), &Limits::default()),
            )
        })
        .collect();
    let parse = start.elapsed();
    let tree = assemble(parsed, &Confinement::to("shop"), &builtin_scope);
    let assembled = start.elapsed();
    let plan = plan(&tree.objects, &[], &tree.held_files(), &PrunePolicy::default());
    let planned = start.elapsed();

    println!(
        "10,000 files: parsed {parse:.2?}, assembled {:.2?}, planned {:.2?}",
        assembled - parse,
        planned - assembled
    );
    assert_eq!(plan.writes(), 10_000);
    assert!(planned.as_secs_f64() <= 2.0, "{planned:?}");
}
