//! The log file beside the cluster, and the reader that fills it from a program's output.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A file that has grown past this is put aside at the next start.
const ROTATE_BYTES: u64 = 10 * 1024 * 1024;

/// Kept for error messages.
const TAIL_LINES: usize = 20;

/// A longer line is cut in two, so that one huge statement in the log does not become our memory.
const LINE_BYTES: u64 = 64 * 1024;

/// The server logs this, in English because of `lc_messages=C`, when it takes connections.
const READY: &str = "database system is ready to accept connections";

/// The file, opened for appending.
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens it, and puts a large one aside as `<path>.1`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let large = fs::metadata(path).is_ok_and(|metadata| metadata.len() > ROTATE_BYTES);
        if large {
            let mut aside = path.as_os_str().to_owned();
            aside.push(".1");
            fs::rename(path, aside)?;
        }
        // Statements that failed are in it, with their data.
        let file = File::options().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            path: self.path.clone(),
            file: self.file.try_clone()?,
        })
    }
}

/// How far a program's output has come. Ordered: it never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Progress {
    Starting,
    Ready,
    /// The last process that could write has ended.
    Closed,
}

/// The last lines of a program's output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// Copies the output to the log until its end, which is when every process that inherited the pipe has ended.
/// A log that cannot be written (a full disk) must not stop the reading: the server would block on the pipe.
pub(crate) fn drain(output: PipeReader, mut log: LogFile, tail: &Tail, progress: &watch::Sender<Progress>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let mut writable = true;
    loop {
        line.clear();
        match output.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if let Err(error) = log.file.write_all(&line)
            && std::mem::replace(&mut writable, false)
        {
            tracing::warn!(path = %log.path.display(), %error, "the PostgreSQL log cannot be written");
        }
        let text = String::from_utf8_lossy(&line);
        if text.contains(READY) {
            progress
                .send_if_modified(|progress| std::mem::replace(progress, Progress::Ready) != Progress::Ready);
        }
        tail.push(text.trim_end().to_owned());
    }
    progress.send_replace(Progress::Closed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(output: &[u8]) -> (String, String, bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        let (reader, mut writer) = io::pipe().unwrap();
        let (sender, receiver) = watch::channel(Progress::Starting);
        let tail = Tail::default();
        let ready = std::thread::scope(|scope| {
            let log = LogFile::open(&path).unwrap();
            scope.spawn(|| drain(reader, log, &tail, &sender));
            writer.write_all(output).unwrap();
            writer.flush().unwrap();
            drop(writer);
            output
                .windows(READY.len())
                .any(|window| window == READY.as_bytes())
        });
        assert_eq!(*receiver.borrow(), Progress::Closed);
        (fs::read_to_string(&path).unwrap(), tail.text(), ready)
    }

    #[test]
    fn the_file_gets_everything_and_the_tail_the_end() {
        let lines: Vec<String> = (0..50).map(|number| format!("line {number}")).collect();
        let (file, tail, _) = drained(lines.join("\n").as_bytes());
        assert_eq!(file, lines.join("\n"));
        assert_eq!(tail, lines[30..].join("\n"));
    }

    #[test]
    fn a_huge_line_is_cut() {
        let size = usize::try_from(LINE_BYTES).unwrap();
        let (file, tail, _) = drained(&vec![b'x'; size + 1]);
        assert_eq!(file.len(), size + 1);
        assert_eq!(tail.lines().map(str::len).collect::<Vec<_>>(), [size, 1]);
    }

    #[test]
    fn a_large_file_is_put_aside_and_a_small_one_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        fs::write(&path, "small").unwrap();
        LogFile::open(&path).unwrap().file.write_all(b" grows").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "small grows");

        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(ROTATE_BYTES + 1)
            .unwrap();
        LogFile::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(
            fs::metadata(folder.path().join("postgres.log.1")).unwrap().len(),
            ROTATE_BYTES + 1
        );
    }
}
