//! Where programs are kept, and under which key: the same sources and recipe give the same folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{Program, Recipe};

/// `$C7N_CACHE`, else `$XDG_CACHE_HOME/c7n`, else `~/.cache/c7n`.
pub fn cache_folder() -> Result<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    choose_cache_folder(set("C7N_CACHE"), set("XDG_CACHE_HOME"), set("HOME"))
        .context("no place for the cache: set C7N_CACHE to a folder, or HOME")
}

fn choose_cache_folder(own: Option<PathBuf>, xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    own.or_else(|| xdg.map(|folder| folder.join("c7n")))
        .or_else(|| home.map(|folder| folder.join(".cache/c7n")))
}

/// The recipe's Go module, from this crate's place in the repository.
pub(crate) fn module_folder(recipe: &Recipe) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(recipe.module)
}

/// Where the built program belongs.
pub(crate) fn place(program: Program) -> Result<PathBuf> {
    let recipe = program.recipe();
    let key = key(&module_folder(&recipe), &recipe)?;
    Ok(cache_folder()?.join("bin").join(key).join(program.name()))
}

/// A digest of everything that decides the program's bytes, short enough to read in a path.
fn key(module: &Path, recipe: &Recipe) -> Result<String> {
    let mut files = Vec::new();
    list_files(module, &mut files)
        .with_context(|| format!("cannot read the Go module {}", module.display()))?;
    files.sort();
    let mut digest = Sha256::new();
    for field in [recipe.version, &recipe.linker_flags, env::consts::ARCH] {
        digest.update(field);
        digest.update([0]);
    }
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(module).unwrap_or(&file);
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update([0]);
        digest.update(content.len().to_le_bytes());
        digest.update(content);
    }
    Ok(digest
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn list_files(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str) -> Option<PathBuf> {
        Some(PathBuf::from(path))
    }

    #[test]
    fn the_users_own_cache_folder_wins() {
        assert_eq!(
            choose_cache_folder(folder("/own"), folder("/xdg"), folder("/home")),
            folder("/own")
        );
        assert_eq!(
            choose_cache_folder(None, folder("/xdg"), folder("/home")),
            folder("/xdg/c7n")
        );
        assert_eq!(
            choose_cache_folder(None, None, folder("/home")),
            folder("/home/.cache/c7n")
        );
        assert_eq!(choose_cache_folder(None, None, None), None);
    }

    #[test]
    fn a_changed_source_or_recipe_is_another_program() {
        let module = tempfile::tempdir().unwrap();
        fs::create_dir(module.path().join("sample")).unwrap();
        fs::write(module.path().join("sample/main.go"), "package main").unwrap();
        let recipe = Program::Sample.recipe();
        let first = key(module.path(), &recipe).unwrap();
        assert_eq!(first, key(module.path(), &recipe).unwrap());

        let stripped = Recipe {
            linker_flags: String::new(),
            ..Program::Sample.recipe()
        };
        assert_ne!(first, key(module.path(), &stripped).unwrap());
        fs::write(module.path().join("sample/main.go"), "package main // changed").unwrap();
        assert_ne!(first, key(module.path(), &recipe).unwrap());
    }
}
