//! Cleans up in a mirror, which nobody else uses.

use std::fs;
use std::path::{Path, PathBuf};

/// Removes what a killed git leaves in a repository that nobody else uses: locks and half-written objects.
pub(crate) fn sweep(repository: &Path) {
    remove_where(repository, &|name| name.ends_with(".lock"));
    remove_below(&repository.join("refs"), &|name| name.ends_with(".lock"));
    remove_below(&repository.join("objects"), &|name| name.starts_with("tmp_"));
}

/// References first: what they show must never be missing.
pub(crate) fn empty(repository: &Path) -> std::io::Result<()> {
    match fs::remove_file(repository.join("packed-refs")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (folder, within) in [("refs", ["heads", "tags"]), ("objects", ["info", "pack"])] {
        let folder = repository.join(folder);
        fs::remove_dir_all(&folder)?;
        for name in within {
            fs::create_dir_all(folder.join(name))?;
        }
    }
    Ok(())
}

fn remove_where(folder: &Path, unwanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            folders.push(entry.path());
        } else if unwanted(&entry.file_name().to_string_lossy()) {
            tracing::info!(file = %entry.path().display(), "removing what a stopped git left behind");
            let _ = fs::remove_file(entry.path());
        }
    }
    folders
}

fn remove_below(folder: &Path, unwanted: &dyn Fn(&str) -> bool) {
    for inner in remove_where(folder, unwanted) {
        remove_below(&inner, unwanted);
    }
}
