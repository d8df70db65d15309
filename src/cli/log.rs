//! Logs on stderr, written by a thread of its own: a reader that has stopped reading holds up the thread
//! and nothing else. What it does not take is lost, and counted.

use super::arguments::{Arguments, LogFormat, Verb};
use std::{
    io::{IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::FmtSpan},
};

/// Lines that wait to be written; a night's burst is shorter.
const WAITING_MAX: usize = 8192;
/// What is still to be written when the process ends is waited for as long as that.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Warnings, and for the daemon what it does.
pub(super) fn set_up(arguments: &Arguments) -> Logs {
    let usual = if matches!(arguments.verb, Verb::Daemon) { "rosterd=info,warn" } else { "warn" };
    let filter = arguments.common.log_level.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(usual));
    let logs = Logs::to(std::io::stderr());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(logs.clone())
        .with_span_events(FmtSpan::NONE);
    match arguments.common.log_format {
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    logs
}

/// Where lines are handed in.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    words: SyncSender<Word>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Word {
    Line(Vec<u8>),
    /// Says that all before it is written.
    Told(SyncSender<()>),
}

impl Logs {
    fn to(reader: impl Write + Send + 'static) -> Self {
        let (words, waiting) = sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        std::thread::spawn(move || write_all(reader, &waiting, &counted));
        Self { words, lost }
    }

    /// Waits until what was handed in is written, or for a second.
    pub(super) fn finish(&self) {
        let (told, written) = sync_channel(1);
        if self.words.try_send(Word::Told(told)).is_ok() {
            let _ = written.recv_timeout(LAST_WORDS);
        }
    }
}

fn write_all(mut reader: impl Write, waiting: &Receiver<Word>, lost: &AtomicU64) {
    while let Ok(word) = waiting.recv() {
        match word {
            Word::Line(line) => {
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 {
                    let _ =
                        writeln!(reader, "{count} lines of this log are lost: nobody read them");
                }
                // There is nobody else to tell.
                let _ = reader.write_all(&line);
            }
            Word::Told(told) => {
                let _ = reader.flush();
                let _ = told.send(());
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { logs: self, text: Vec::new() }
    }
}

/// One line, handed in when it is complete.
#[derive(Debug)]
pub(super) struct Line<'a> {
    logs: &'a Logs,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.text.write(part)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() && self.logs.words.try_send(Word::Line(text)).is_err() {
            self.logs.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// Takes nothing before it is told to, and says what it took.
    struct Reluctant {
        may_read: Receiver<()>,
        read: Sender<String>,
    }

    impl Write for Reluctant {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let _ = self.may_read.recv();
            let _ = self.read.send(String::from_utf8_lossy(text).into_owned());
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn e25_a_reader_that_does_not_read_holds_up_nobody_and_is_told_what_it_lost() {
        let (go, may_read) = channel();
        let (read, told) = channel();
        let logs = Logs::to(Reluctant { may_read, read });
        // One is with the reader at most, so many wait, and the rest is lost.
        for number in 0..WAITING_MAX + 1000 {
            logs.make_writer().write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        logs.finish();
        let lost = logs.lost.load(Ordering::Relaxed);
        assert!((999..=1000).contains(&lost), "{lost}");
        drop((go, logs));
        let all: String = told.iter().collect();
        assert!(all.contains("lost: nobody read them"), "{all}");
    }
}
