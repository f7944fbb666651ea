//! Small system files read again when they change.
//!
//! A file that is missing, is no plain file or cannot be read counts as empty: a scratch image may
//! have neither of them.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::FILES_CHECKED_S;

/// Bytes read of a file; the rest is ignored.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Changes when the file does: time of change and length; `None` without a file.
type Stamp = Option<(SystemTime, u64)>;

/// A file's content as values.
#[derive(Debug)]
pub struct Watched<T> {
    pub value: T,
    path: PathBuf,
    parse: fn(&[u8]) -> T,
    checked_at: Option<Instant>,
    stamp: Stamp,
}

impl<T> Watched<T> {
    /// Nothing is read before the first check.
    pub fn new(path: PathBuf, parse: fn(&[u8]) -> T) -> Watched<T> {
        Watched { value: parse(b""), path, parse, checked_at: None, stamp: None }
    }

    /// Looks at the file if it is time to; true if the value was read anew.
    pub fn check(&mut self, now: Instant) -> bool {
        let interval = Duration::from_secs(FILES_CHECKED_S);
        if self.checked_at.is_some_and(|at| now.saturating_duration_since(at) < interval) {
            return false;
        }
        self.checked_at = Some(now);
        let stamp = self.stamp_of_file();
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        self.value = (self.parse)(&self.read());
        true
    }

    /// Looks before opening: opening a pipe would block.
    fn stamp_of_file(&self) -> Stamp {
        let metadata = std::fs::metadata(&self.path).ok().filter(|metadata| metadata.is_file())?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    fn read(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.stamp.is_some() {
            if let Ok(file) = File::open(&self.path) {
                // What was read before an error is as good as a shorter file.
                let _ = file.take(FILE_BYTES_MAX).read_to_end(&mut text);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_when_it_changes_and_not_before_its_time() {
        let path = std::env::temp_dir().join(format!("otlet-watched-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut watched = Watched::new(path.clone(), |text| text.len() as u64);
        let at = |s: u64, start: Instant| start + Duration::from_secs(s);
        let start = Instant::now();
        assert!(!watched.check(start) && watched.value == 0);
        std::fs::write(&path, "four").unwrap();
        assert!(!watched.check(at(4, start)) && watched.value == 0);
        assert!(watched.check(at(5, start)) && watched.value == 4);
        assert!(!watched.check(at(10, start)));
        std::fs::write(&path, vec![b'x'; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(watched.check(at(15, start)) && watched.value == FILE_BYTES_MAX);
        std::fs::remove_file(&path).unwrap();
        assert!(watched.check(at(20, start)) && watched.value == 0);
        let mut folder = Watched::new(std::env::temp_dir(), |text| text.len());
        assert!(!folder.check(start));
    }
}
