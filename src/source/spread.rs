//! The first look, spread over threads: one reads and cuts the text, the others judge blocks of it.
//!
//! ```text
//!                 ┌─► block ─► worker ─► chunk ─┐
//! text ─► Cutter ─┤                             ├─► Ledger, in the file's order
//!                 └─► block ─► worker ─► chunk ─┘
//! ```
//!
//! The header ends where a row ends, and a block is believed only if its rows, read from its first
//! byte, end with it. So every block begins where a row begins, and its rows are those that a read
//! in one go finds. Where a block is not believed nothing is: the file is read
//! [in one go](super::look), from its beginning.

use super::{
    block::{Block, Worker},
    cut::Cutter,
    findings::Findings,
    guard::Guard,
    input::Text,
    ledger::Ledger,
    look::{Look, Looked, header_of},
    rows::Judge,
    stretch::Chunk,
};
use crate::engine::index::Index;
use std::{
    io::Read,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

/// How the work is spread.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Size of a block.
    pub(super) bytes: usize,
    pub(super) workers: usize,
}

impl Pace {
    /// A block and its cells stay in a core's own cache; more threads than these would wait for the
    /// one that reads.
    pub(super) fn of_machine() -> Self {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(4);
        Self { bytes: 128 << 10, workers }
    }
}

/// `None`: the file has to be read in one go.
pub(super) fn read<'a>(look: &Look<'a>, text: Text<'_>, pace: Pace) -> Option<Looked<'a>> {
    let Text { reader, end_is_proven, first_byte } = text;
    let mut cutter = Cutter::new(reader, pace.bytes, first_byte.unwrap_or(0));
    let mut first = cutter.next().ok()??;
    let (guard, delimiter) = Guard::new(&first.text[..first.end], look.rules.delimiter, first.byte);
    let mut findings = Findings::default();
    let (header, guard) = header_of(guard, delimiter, look, &mut findings)?;
    if !guard.row().is_some_and(|row| row.terminated) {
        return None;
    }
    first.start = usize::try_from(guard.byte - first.byte).ok()?;
    first.start += usize::from(guard.after_cr && first.text.get(first.start) == Some(&b'\n'));
    let trusts = (end_is_proven || look.settings.allow_missing_final_newline, first_byte.is_some());
    let judge = Judge::new(look.settings, look.rules, header, delimiter, trusts);
    let mut ledger = Ledger::new(look.index, judge.header.references.len());
    ledger.findings = findings;
    ledger.counts.lines = guard.line() - 1;
    let rows_max = look.rows_max();
    let mut take = |chunk| take(&mut ledger, chunk, rows_max);
    if first.last {
        take(Worker::new(&judge, look.index, delimiter).read(&first)?)?;
    } else {
        spread(&judge, look.index, delimiter, first, &mut cutter, pace.workers, &mut take)?;
    }
    Some(Looked { judge, ledger, delimiter })
}

/// Nothing when there are too many rows.
fn take(ledger: &mut Ledger, mut chunk: Chunk, rows_max: u64) -> Option<()> {
    let lines = ledger.counts.lines;
    chunk.line = lines;
    ledger.tell(std::mem::take(&mut chunk.findings), std::mem::take(&mut chunk.held), lines);
    ledger.take(chunk);
    (ledger.counts.rows <= rows_max).then_some(())
}

/// A worker at its thread.
struct Hand {
    blocks: Sender<Block>,
    chunks: Receiver<(Option<Chunk>, Vec<u8>)>,
}

fn spread(
    judge: &Judge<'_>,
    index: &Index,
    delimiter: u8,
    first: Block,
    cutter: &mut Cutter<impl Read>,
    workers: usize,
    take: &mut impl FnMut(Chunk) -> Option<()>,
) -> Option<()> {
    thread::scope(|scope| {
        let hand = |_| {
            let (blocks, given) = channel::<Block>();
            let (done, chunks) = channel();
            scope.spawn(move || {
                let mut worker = Worker::new(judge, index, delimiter);
                for block in given {
                    let chunk = worker.read(&block);
                    if done.send((chunk, block.text)).is_err() {
                        return;
                    }
                }
            });
            Hand { blocks, chunks }
        };
        let hands: Vec<Hand> = (0..workers.max(1)).map(hand).collect();
        // Each worker has a block under way and two waiting.
        let ahead = 3 * hands.len();
        let (mut sent, mut taken) = (0, 0);
        let mut next = Some(first);
        while next.is_some() || taken < sent {
            if let Some(block) = next.take_if(|_| sent - taken < ahead) {
                hands[sent % hands.len()].blocks.send(block).ok()?;
                sent += 1;
                next = cutter.next().ok()?;
            } else {
                let (chunk, room) = hands[taken % hands.len()].chunks.recv().ok()?;
                taken += 1;
                cutter.reuse(room);
                take(chunk?)?;
            }
        }
        Some(())
    })
}
