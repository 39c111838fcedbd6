//! Trees, differences, history, tags and commits of a local repository, made and judged by the ordinary `git`.
#![allow(
    clippy::unwrap_used,
    reason = "tests; clippy sees only the #[test] functions as such"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use c7n_git::{CommitId, DEVOPS_SYNC, FileEdit, GitError, NewCommit, RefusedKind, Repository, Signature};

struct Work {
    dir: tempfile::TempDir,
    repository: Repository,
}

impl Work {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path().join("r.git"), "main").unwrap();
        Self { dir, repository }
    }

    fn path(&self) -> &Path {
        self.repository.path()
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("git");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GIT_DIR", self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_INDEX_FILE", self.dir.path().join("index"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Ada L")
                .env(format!("GIT_{who}_EMAIL"), "ada@example.com");
            command.env(format!("GIT_{who}_DATE"), "1700000000 +0100");
        }
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn blob(&self, content: &str) -> String {
        self.git(&["hash-object", "-w", "--stdin"], content.as_bytes())
    }

    /// A tree whose entries no honest git would write.
    fn tree(&self, entries: &[(&str, &[u8], &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend([mode.as_bytes(), b" ", name, b"\0"].concat());
            bytes.extend((0..20).map(|i| u8::from_str_radix(&id[2 * i..2 * i + 2], 16).unwrap()));
        }
        self.git(
            &["hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
            &bytes,
        )
    }

    fn commit(&self, tree: &str, parents: &[CommitId], message: &str) -> CommitId {
        let mut arguments = vec![
            "commit-tree".to_owned(),
            tree.to_owned(),
            "-m".into(),
            message.into(),
        ];
        for parent in parents {
            arguments.extend(["-p".to_owned(), parent.to_string()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.git(&arguments, b"").parse().unwrap()
    }
}

#[test]
fn odd_entries_are_refused_by_name_and_nothing_else_suffers() {
    let work = Work::new();
    let blob = work.blob("x");
    let inner = work.tree(&[("100644", b"canary", &blob)]);
    let tree = work.tree(&[
        ("120000", b"a-link", &blob),
        ("160000", b"a-module", &"1".repeat(40)),
        ("40000", b"..", &inner),
        ("40000", b".GIT", &inner),
        ("100644", b"caf\xe9", &blob),
        ("100755", b"run.sh", &blob),
        ("40000", b"sub", &inner),
    ]);
    let commit = work.commit(&tree, &[], "odd");
    let found = work.repository.tree(&commit).unwrap();
    assert_eq!(found.files.keys().collect::<Vec<_>>(), ["run.sh", "sub/canary"]);
    let refused: Vec<_> = found.refused.iter().map(|r| (r.path.as_str(), r.kind)).collect();
    assert_eq!(
        refused,
        [
            ("..", RefusedKind::BadPath),
            (".GIT", RefusedKind::BadPath),
            ("a-link", RefusedKind::Symlink),
            ("a-module", RefusedKind::Submodule),
            ("caf\u{fffd}", RefusedKind::BadPath),
        ]
    );
    // The difference to an empty commit tells the same story.
    let nothing = work.commit(&work.tree(&[]), &[], "empty");
    let changed = work.repository.changed(&nothing, &commit).unwrap();
    let readable: Vec<_> = changed
        .iter()
        .filter(|c| c.after.is_some())
        .map(|c| c.path.as_str())
        .collect();
    assert_eq!(readable, ["run.sh", "sub/canary"]);
    assert!(
        changed
            .iter()
            .filter(|c| c.after.is_none())
            .all(|c| c.refused.is_some())
    );
}

#[test]
fn a_difference_names_what_was_added_changed_and_removed_and_sees_no_renames() {
    let work = Work::new();
    let [one, two] = ["1", "2"].map(|content| work.blob(content));
    let sub = work.tree(&[("100644", b"gone.yaml", &one), ("100644", b"same.yaml", &two)]);
    let old = work.tree(&[
        ("100644", b"becomes-folder", &one),
        ("100644", b"becomes-link", &one),
        ("100644", b"changed.yaml", &one),
        ("100644", b"moved-from.yaml", &two),
        ("40000", b"sub", &sub),
    ]);
    let folder = work.tree(&[("100644", b"inner.yaml", &one)]);
    let sub = work.tree(&[("100644", b"same.yaml", &two)]);
    let new = work.tree(&[
        ("40000", b"becomes-folder", &folder),
        ("120000", b"becomes-link", &one),
        ("100644", b"changed.yaml", &two),
        ("100644", b"moved-to.yaml", &two),
        ("40000", b"sub", &sub),
    ]);
    let (old, new) = (work.commit(&old, &[], "old"), work.commit(&new, &[], "new"));
    let seen = |from, to| -> Vec<String> {
        let changed = work.repository.changed(from, to).unwrap();
        changed
            .iter()
            .map(|c| {
                format!(
                    "{}{} {}",
                    u8::from(c.before.is_some()),
                    u8::from(c.after.is_some()),
                    c.path
                )
            })
            .collect()
    };
    assert_eq!(
        seen(&old, &new),
        [
            "10 becomes-folder",
            "01 becomes-folder/inner.yaml",
            "10 becomes-link",
            "11 changed.yaml",
            "10 moved-from.yaml",
            "01 moved-to.yaml",
            "10 sub/gone.yaml",
        ]
    );
    assert_eq!(seen(&new, &old).len(), 7);
    assert_eq!(seen(&old, &old), Vec::<String>::new());
}

#[test]
fn a_difference_applied_to_the_old_files_gives_the_new_ones() {
    let work = Work::new();
    let blobs: Vec<String> = (0..5).map(|n| work.blob(&n.to_string())).collect();
    // Given trees whose files come, go and change by a fixed pattern,
    let commit = |seed: usize| {
        let entries: Vec<(String, &String)> = (0..40)
            .filter(|n| !(n * 7 + seed * 3).is_multiple_of(5))
            .map(|n| (format!("f{n:02}"), &blobs[(n + seed * (n % 3)) % 5]))
            .collect();
        let folder: Vec<(&str, &[u8], &str)> = entries
            .iter()
            .map(|(name, blob)| ("100644", name.as_bytes(), blob.as_str()))
            .collect();
        let inner = work.tree(&folder);
        let root = work.tree(&[
            ("40000", b"a", &inner),
            ("40000", if seed.is_multiple_of(2) { b"b" } else { b"c" }, &inner),
        ]);
        work.commit(&root, &[], "x")
    };
    let commits: Vec<CommitId> = (0..6).map(commit).collect();
    for old in &commits {
        for new in &commits {
            let mut files = work.repository.tree(old).unwrap().files;
            for change in work.repository.changed(old, new).unwrap() {
                assert_eq!(files.remove(&change.path), change.before);
                if let Some(after) = change.after {
                    files.insert(change.path, after);
                }
            }
            assert_eq!(files, work.repository.tree(new).unwrap().files);
        }
    }
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let work = Work::new();
    let blob = work.blob("0123456789").parse().unwrap();
    assert_eq!(work.repository.read(&blob, 10).unwrap(), b"0123456789");
    assert!(matches!(
        work.repository.read(&blob, 9),
        Err(GitError::TooBig { limit: 9, .. })
    ));
    let absent = "1".repeat(40).parse().unwrap();
    assert!(matches!(
        work.repository.read(&absent, 9),
        Err(GitError::MissingObject { .. })
    ));
}

#[test]
fn history_is_told_newest_first() {
    let work = Work::new();
    let tree = work.tree(&[]);
    let first = work.commit(&tree, &[], "first\n\nand more");
    let second = work.commit(&tree, &[first], "second");
    let third = work.commit(&tree, &[second], "third");
    let apart = work.commit(&tree, &[], "apart");
    let repository = &work.repository;
    let info = repository.commit_info(&first).unwrap();
    assert_eq!(
        (info.author.as_str(), info.email.as_str()),
        ("Ada L", "ada@example.com")
    );
    assert_eq!(
        (info.subject.as_str(), info.time_ms),
        ("first", 1_700_000_000_000)
    );
    let ids = |until, limit| -> Vec<CommitId> {
        repository
            .log(&third, until, limit)
            .unwrap()
            .into_iter()
            .map(|info| info.id)
            .collect()
    };
    assert_eq!(ids(None, 10), [third, second, first]);
    assert_eq!(ids(Some(&first), 10), [third, second]);
    assert_eq!(ids(None, 1), [third]);
    assert_eq!(ids(Some(&"1".repeat(40).parse().unwrap()), 10).len(), 3);
    assert!(repository.is_ancestor(&first, &third).unwrap());
    assert!(!repository.is_ancestor(&third, &first).unwrap());
    assert!(!repository.is_ancestor(&apart, &third).unwrap());
    assert!(repository.contains(&first));
    assert!(!repository.contains(&tree.parse().unwrap()));
}

#[test]
fn a_tag_moves_only_from_where_it_was_expected() {
    let work = Work::new();
    let tree = work.tree(&[]);
    let [one, two] = ["one", "two"].map(|message| work.commit(&tree, &[], message));
    let repository = &work.repository;
    repository.move_tag(DEVOPS_SYNC, None, Some(&one)).unwrap();
    assert_eq!(repository.resolve(DEVOPS_SYNC).unwrap(), Some(one));
    for expected in [None, Some(&two)] {
        let outcome = repository.move_tag(DEVOPS_SYNC, expected, Some(&two));
        assert!(
            matches!(outcome, Err(GitError::RefChanged { found: Some(found), .. }) if found == one),
            "{outcome:?}"
        );
        let outcome = repository.move_tag(DEVOPS_SYNC, expected, None);
        assert!(matches!(outcome, Err(GitError::RefChanged { .. })), "{outcome:?}");
    }
    // Also where git has packed it meanwhile.
    work.git(&["pack-refs", "--all"], b"");
    repository.move_tag(DEVOPS_SYNC, Some(&one), Some(&two)).unwrap();
    assert_eq!(work.git(&["rev-parse", DEVOPS_SYNC], b""), two.to_string());
    work.git(&["pack-refs", "--all"], b"");
    repository.move_tag(DEVOPS_SYNC, Some(&two), None).unwrap();
    assert_eq!(repository.resolve(DEVOPS_SYNC).unwrap(), None);
    repository.move_tag(DEVOPS_SYNC, None, None).unwrap();
    // And never to what is not there.
    let absent = "1".repeat(40).parse().unwrap();
    let outcome = repository.move_tag(DEVOPS_SYNC, None, Some(&absent));
    assert!(
        matches!(outcome, Err(GitError::MissingObject { .. })),
        "{outcome:?}"
    );
}

#[test]
fn one_of_many_wins_a_race_for_a_tag() {
    let work = Work::new();
    let tree = work.tree(&[]);
    let start = work.commit(&tree, &[], "start");
    work.repository.move_tag(DEVOPS_SYNC, None, Some(&start)).unwrap();
    let rivals: Vec<CommitId> = (0..8)
        .map(|n| work.commit(&tree, &[], &format!("rival {n}")))
        .collect();
    let wins: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = rivals
            .iter()
            .map(|rival| {
                scope.spawn(|| {
                    work.repository
                        .move_tag(DEVOPS_SYNC, Some(&start), Some(rival))
                        .is_ok()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(wins, 1);
}

#[test]
fn a_lock_that_was_left_behind_is_named_and_cleared_once_it_is_old() {
    let work = Work::new();
    let commit = work.commit(&work.tree(&[]), &[], "one");
    let lock = work.path().join("refs/tags/devops-sync.lock");
    std::fs::write(&lock, "").unwrap();
    let outcome = work.repository.move_tag(DEVOPS_SYNC, None, Some(&commit));
    assert!(
        matches!(&outcome, Err(GitError::Locked { path }) if *path == lock),
        "{outcome:?}"
    );
    // An hour later its owner is surely gone.
    let file = std::fs::File::options().write(true).open(&lock).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600))
        .unwrap();
    work.repository
        .move_tag(DEVOPS_SYNC, None, Some(&commit))
        .unwrap();
    assert!(!lock.exists());
}

#[test]
fn a_repository_is_made_once_and_odd_ones_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b.git");
    let first = Repository::init_bare(&path, "main").unwrap();
    assert_eq!(first.resolve("HEAD").unwrap(), None);
    assert_eq!(first.resolve("refs/heads/main").unwrap(), None);
    Repository::init_bare(&path, "other").unwrap();
    assert_eq!(
        std::fs::read_to_string(path.join("HEAD")).unwrap(),
        "ref: refs/heads/main\n"
    );
    assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    for name in [
        "main",
        "refs/heads/",
        "refs/heads/a..b",
        "refs/heads/*",
        "refs/heads/a b",
        "-x",
        "refs/../x",
    ] {
        assert!(
            matches!(first.resolve(name), Err(GitError::BadReference { .. })),
            "{name}"
        );
    }
    assert!(matches!(
        Repository::open(dir.path()),
        Err(GitError::BadRepository { .. })
    ));
    let sha256 = dir.path().join("sha256");
    let made = Command::new("git")
        .args(["init", "-q", "--bare", "--object-format=sha256"])
        .arg(&sha256)
        .status();
    assert!(made.unwrap().success());
    assert!(matches!(
        Repository::open(&sha256),
        Err(GitError::BadRepository { .. })
    ));
}

fn ann() -> Signature {
    Signature {
        name: "Ann <B>\n".into(),
        email: "ann@example.com".into(),
        time_ms: 1_700_000_000_999,
    }
}

fn put(path: &str, content: &str) -> FileEdit {
    FileEdit {
        path: path.into(),
        content: Some(content.into()),
    }
}

fn remove(path: &str) -> FileEdit {
    FileEdit {
        path: path.into(),
        content: None,
    }
}

fn commit(work: &Work, expected: Option<CommitId>, edits: &[FileEdit]) -> Result<CommitId, GitError> {
    let (author, committer) = (
        ann(),
        Signature {
            name: "c7n".into(),
            ..ann()
        },
    );
    work.repository.commit(&NewCommit {
        reference: "refs/heads/main",
        expected,
        edits,
        author: &author,
        committer: &committer,
        message: "Deploy web 1.2.0\n\nbecause\n\n",
    })
}

#[test]
fn a_commit_is_one_that_git_itself_would_have_made() {
    let work = Work::new();
    let first = commit(
        &work,
        None,
        &[put("releases/web.yaml", "a: 1\n"), put("b.yaml", "b: 1\n")],
    )
    .unwrap();
    let second = commit(
        &work,
        Some(first),
        &[
            put("releases/web.yaml", "a: 2\n"),
            put("z/y/x.yaml", "x: 1\n"),
            remove("b.yaml"),
        ],
    )
    .unwrap();
    let third = commit(&work, Some(second), &[remove("z/y/x.yaml")]).unwrap();

    assert_eq!(work.git(&["fsck", "--strict", "--no-dangling"], b""), "");
    assert_eq!(
        work.git(&["log", "--format=%an|%ae|%cn|%at|%s|%P", "main"], b""),
        format!(
            "Ann B|ann@example.com|c7n|1700000000|Deploy web 1.2.0|{second}\n\
             Ann B|ann@example.com|c7n|1700000000|Deploy web 1.2.0|{first}\n\
             Ann B|ann@example.com|c7n|1700000000|Deploy web 1.2.0|"
        )
    );
    assert_eq!(work.git(&["show", "main:releases/web.yaml"], b""), "a: 2");
    assert_eq!(
        work.git(&["ls-tree", "-r", "-t", "--name-only", "main"], b""),
        "releases\nreleases/web.yaml"
    );
    assert_eq!(work.repository.resolve("HEAD").unwrap(), Some(third));
    // Writing what is there is no commit.
    assert_eq!(
        commit(&work, Some(third), &[put("releases/web.yaml", "a: 2\n")]).unwrap(),
        third
    );
}

#[test]
fn who_is_late_loses_the_race_and_the_branch_stays() {
    let work = Work::new();
    let first = commit(&work, None, &[put("a", "1")]).unwrap();
    let winner = commit(&work, Some(first), &[put("a", "2")]).unwrap();
    for expected in [Some(first), None] {
        let outcome = commit(&work, expected, &[put("a", "3")]);
        assert!(
            matches!(&outcome, Err(GitError::RefChanged { found, .. }) if *found == Some(winner)),
            "{outcome:?}"
        );
    }
    assert_eq!(work.repository.resolve("refs/heads/main").unwrap(), Some(winner));
}

#[test]
fn only_files_are_written_and_their_mode_stays() {
    let work = Work::new();
    let blob = work.blob("x");
    let tree = work.tree(&[
        ("120000", b"link", &blob),
        ("100755", b"run.sh", &blob),
        ("40000", b"sub", &work.tree(&[("100644", b"file", &blob)])),
    ]);
    let start = work.commit(&tree, &[], "start");
    work.git(&["update-ref", "refs/heads/main", &start.to_string()], b"");
    for path in [
        "link",
        "sub",
        "run.sh/below",
        "../up",
        ".git/config",
        "a//b",
        "/a",
        "sub/.GIT",
    ] {
        let outcome = commit(&work, Some(start), &[put(path, "y")]);
        assert!(matches!(outcome, Err(GitError::BadPath { .. })), "{path}");
    }
    commit(&work, Some(start), &[put("run.sh", "echo")]).unwrap();
    assert!(
        work.git(&["ls-tree", "main", "run.sh"], b"")
            .starts_with("100755")
    );
    assert!(work.git(&["ls-tree", "main", "link"], b"").starts_with("120000"));
}
