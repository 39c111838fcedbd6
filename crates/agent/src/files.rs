//! Files that are either old or new, never half: written beside, synced, renamed. A kill at any moment is safe.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Replaces the file and waits for the disk. Only its owner may read it: what the agent keeps is nobody else's.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = write_beside(path, content, File::sync_all)?;
    File::open(folder)?.sync_all()
}

/// Replaces the file. Safe against a kill; a power cut may lose the newest content, or all of it.
pub fn replace_lightly(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content, |_| Ok(()))?;
    Ok(())
}

fn write_beside<'a>(
    path: &'a Path,
    content: &[u8],
    settle: fn(&File) -> io::Result<()>,
) -> io::Result<&'a Path> {
    let folder = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    make_folder(folder)?;
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?
        .to_string_lossy();
    let beside = folder.join(format!(".{name}.new"));
    // What a killed run left here may have other permissions.
    match fs::remove_file(&beside) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    settle(&file)?;
    fs::rename(&beside, path)?;
    Ok(folder)
}

/// Reads the file, or tells that there is none.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

pub fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/credential");

        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();

        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_a_killed_run_left_beside_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spec");
        replace(&path, b"old").unwrap();
        fs::write(folder.path().join(".spec.new"), b"ha").unwrap();

        assert_eq!(read(&path).unwrap().unwrap(), b"old");
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_file_that_is_not_there_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_none());
        remove(&folder.path().join("none")).unwrap();
        remove_folder(&folder.path().join("none")).unwrap();
    }
}
