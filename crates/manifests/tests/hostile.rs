//! Files made to hurt: each is refused with a line, quickly and in little memory; and nothing makes the reader panic.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]
// Counting what is allocated takes a global allocator, and that takes `unsafe`.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fmt::Write,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use c7n_manifests::{ErrorCode, Limits, parse_file, yaml_to_json};
use proptest::prelude::*;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// One measurement at a time.
static TURN: Mutex<()> = Mutex::new(());

// SAFETY: hands everything to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The promise is 100 ms. Three times as much in a release build, because cores are shared; and more without optimisation.
const PATIENCE: Duration = if cfg!(debug_assertions) {
    Duration::from_secs(5)
} else {
    Duration::from_millis(300)
};

/// Of this thread where the system tells, so that a busy machine does not count; of the wall otherwise.
fn cpu_time() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| BEGIN.elapsed(), Duration::from_nanos)
}

fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{items}]").unwrap();
    }
    text
}

fn merge_bomb() -> String {
    let mut text = "a0: &a0 {".to_owned();
    for key in 0..100 {
        write!(text, "k{key}: {key}, ").unwrap();
    }
    text.push_str("}\n");
    for level in 1..2000 {
        writeln!(text, "a{level}: {{<<: [*a0, *a0, *a0]}}").unwrap();
    }
    text
}

fn anchors_in_anchors() -> String {
    let open = (0..90).fold("a: ".to_owned(), |text, level| text + &format!("&x{level} ["));
    format!("{open}{}{}\n", "1, ".repeat(3_000), "]".repeat(90))
}

#[test]
fn a_hostile_file_costs_little_and_names_its_line() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let limits = Limits::default();
    let scalar = format!("a: {}\n", "x".repeat(100_000_000));
    let documents = "---\na: 1\n".repeat(50_000);
    let flow = "[".repeat(10_000);
    let flow_lines = "[\n".repeat(10_000);
    let flow_maps = "{a: ".repeat(10_000);
    let block = "- ".repeat(10_000);
    let steps = (0..10_000).fold(String::new(), |text, depth| {
        text + &" ".repeat(depth % 1000) + "a:\n"
    });
    let many = format!("a: [{}]\n", "1,".repeat(4_000_000));
    let empty_maps = format!("a: [{}]\n", "{},".repeat(2_700_000));
    let keys = (0..600_000).fold(String::new(), |text, key| text + &format!("k{key}: 1\n"));
    let anchors = (0..300_000).fold("a:\n".to_owned(), |text, key| text + &format!("- &k{key} 1\n"));
    let repeated = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(10_000));
    let same_key = "a: 1\n".repeat(500_000);
    let (bomb, merges, nested) = (bomb(), merge_bomb(), anchors_in_anchors());
    let quotes = format!("a: \"{}", "x\n".repeat(2_000_000));
    let question = "? ".repeat(1_000_000);
    let colons = "a: ".repeat(1_000_000);
    let table: &[(&str, &[u8], ErrorCode, Option<u32>)] = &[
        (
            "100 MB in one scalar",
            scalar.as_bytes(),
            ErrorCode::Budget,
            Some(1),
        ),
        (
            "50,000 documents",
            documents.as_bytes(),
            ErrorCode::Budget,
            Some(10_001),
        ),
        (
            "10,000 lists in one line",
            flow.as_bytes(),
            ErrorCode::Budget,
            Some(1),
        ),
        (
            "10,000 lists in lines",
            flow_lines.as_bytes(),
            ErrorCode::Budget,
            None,
        ),
        (
            "10,000 mappings in one line",
            flow_maps.as_bytes(),
            ErrorCode::Budget,
            Some(1),
        ),
        ("10,000 block lists", block.as_bytes(), ErrorCode::Budget, Some(1)),
        (
            "10,000 block mappings",
            steps.as_bytes(),
            ErrorCode::Budget,
            Some(101),
        ),
        ("millions of numbers", many.as_bytes(), ErrorCode::Budget, Some(1)),
        (
            "millions of mappings",
            empty_maps.as_bytes(),
            ErrorCode::Budget,
            Some(1),
        ),
        (
            "hundreds of thousands of keys",
            keys.as_bytes(),
            ErrorCode::Budget,
            None,
        ),
        (
            "hundreds of thousands of anchors",
            anchors.as_bytes(),
            ErrorCode::Budget,
            None,
        ),
        ("alias bomb", bomb.as_bytes(), ErrorCode::Budget, None),
        ("merge bomb", merges.as_bytes(), ErrorCode::Budget, None),
        (
            "one long text, repeated",
            repeated.as_bytes(),
            ErrorCode::Budget,
            Some(2),
        ),
        ("anchors in anchors", nested.as_bytes(), ErrorCode::Budget, None),
        (
            "one key again and again",
            same_key.as_bytes(),
            ErrorCode::DuplicateKey,
            Some(2),
        ),
        (
            "a quote that never ends",
            quotes.as_bytes(),
            ErrorCode::YamlSyntax,
            None,
        ),
        (
            "a question that never ends",
            question.as_bytes(),
            ErrorCode::NotJson,
            None,
        ),
        ("colons", colons.as_bytes(), ErrorCode::YamlSyntax, None),
        ("NUL", b"a: 1\nb: \0\n", ErrorCode::YamlSyntax, Some(2)),
        ("NaN", b"a: 1\nb: .nan\n", ErrorCode::NotJson, Some(2)),
        ("no UTF-8", b"a: 1\nb: \xff\xfe\n", ErrorCode::NotUtf8, Some(2)),
        ("UTF-16", b"\xff\xfea\0:\0 \x001\0", ErrorCode::NotUtf8, Some(1)),
        ("a tab", b"a:\n\tb: 1\n", ErrorCode::YamlSyntax, Some(2)),
        (
            "a key twice",
            b"a:\n  b: 1\n  b: 2\n",
            ErrorCode::DuplicateKey,
            Some(3),
        ),
    ];
    for (name, bytes, code, line) in table {
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let start = cpu_time();

        let errors = parse_file("x.yaml", bytes, &limits).unwrap_err();

        let (took, peak) = (cpu_time() - start, PEAK.load(Ordering::Relaxed) - before);
        println!("{name:34} {:>9.2?} {:>6} KiB  {}", took, peak >> 10, errors[0]);
        assert_eq!(errors[0].code, *code, "{name}: {}", errors[0]);
        if let Some(line) = line {
            assert_eq!(errors[0].line, *line, "{name}: {}", errors[0]);
        }
        assert!(peak <= 64 << 20, "{name} took {} MiB", peak >> 20);
        assert!(took <= PATIENCE, "{name} took {took:?}");
    }
}

#[test]
fn what_is_just_within_the_limits_is_read_within_them_too() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let list = format!(
        "apiVersion: v1\nkind: A\nmetadata: {{name: a}}\nspec: [{}]\n",
        "{a: 1},".repeat(49_000)
    );
    let text = format!(
        "apiVersion: v1\nkind: A\nmetadata: {{name: a}}\ndata:\n  a: |\n{}",
        "    some text\n".repeat(500_000)
    );
    let numbers = format!(
        "apiVersion: v1\nkind: A\nmetadata: {{name: a}}\nspec: [{}]\n",
        "1,".repeat(290_000)
    );
    let keys = (0..140_000).fold(
        "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec:\n".to_owned(),
        |text, key| text + &format!("  key-{key}: 1\n"),
    );
    for (name, bytes) in [
        ("values", list),
        ("text", text),
        ("numbers", numbers),
        ("keys", keys),
    ] {
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let start = cpu_time();
        assert_eq!(
            parse_file("x.yaml", bytes.as_bytes(), &Limits::default())
                .unwrap()
                .len(),
            1
        );
        let (took, peak) = (cpu_time() - start, PEAK.load(Ordering::Relaxed) - before);
        println!(
            "{name:34} {took:>9.2?} {:>6} KiB of {} KiB",
            peak >> 10,
            bytes.len() >> 10
        );
        assert!(peak <= 64 << 20, "{name} took {} MiB", peak >> 20);
    }
}

#[test]
fn a_small_stack_is_enough() {
    let deep = format!("{}{}", "[".repeat(99), "]".repeat(99));
    let read = std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(move || yaml_to_json("x.yaml", deep.as_bytes(), &Limits::default()).unwrap())
        .unwrap();
    assert_eq!(read.join().unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-a:?*&!|>{}\\[\\]'\"#%@`<~.,0 \\n\\t]{0,80}") {
        let _ = parse_file("x.yaml", text.as_bytes(), &Limits::default());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_file("x.yaml", &bytes, &Limits::default());
    }

    #[test]
    fn json_is_read_as_json(value in json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let read = yaml_to_json("x.json", text.as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(&read[0], &value, "{}", text);
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é😀\n\t]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{1,8}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().filter(|(key, _)| key != "<<").collect())),
        ]
    })
}
