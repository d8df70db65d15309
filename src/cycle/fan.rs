//! Work on several threads, taken in order.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

/// More threads than these only wait for the one that writes.
const THREADS_MAX: usize = 4;

/// Gives every item to one of several threads, and what comes of it to `take`, in the order of the
/// items. Only a few items are under way at a time, however many there are.
///
/// # Errors
/// The first error of any of the three, in the order of the items.
pub(super) fn in_order<I: Send, T: Send, E: Send>(
    next: impl FnMut() -> Result<Option<I>, E>,
    work: impl Fn(I) -> Result<T, E> + Sync,
    take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    in_order_on(threads, next, work, take)
}

fn in_order_on<I: Send, T: Send, E: Send>(
    threads: usize,
    mut next: impl FnMut() -> Result<Option<I>, E>,
    work: impl Fn(I) -> Result<T, E> + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let Some(first) = next()? else { return Ok(()) };
    let Some(second) = next()? else { return work(first).and_then(take) };
    let (jobs, queue) = mpsc::channel::<(u64, I)>();
    let (done, results) = mpsc::channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        // Dropped when the items are done or something failed, which ends the threads.
        let jobs = jobs;
        for _ in 0..threads {
            let (done, queue, work) = (done.clone(), &queue, &work);
            scope.spawn(move || {
                let job = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok((number, item)) = job() {
                    if done.send((number, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut waiting = [first, second].into_iter();
        let (mut sent, mut taken, mut early) = (0, 0, BTreeMap::new());
        let mut more = true;
        loop {
            while more && sent - taken < 2 * threads as u64 {
                let item = waiting.next().map_or_else(&mut next, |item| Ok(Some(item)))?;
                more = item.is_some();
                if let Some(item) = item {
                    // The threads only end once `jobs` is dropped, or by a panic, which the scope
                    // passes on.
                    let _ = jobs.send((sent, item));
                    sent += 1;
                }
            }
            // Nothing more will come of what is not under way.
            if taken == sent {
                return Ok(());
            }
            let Ok((number, result)) = results.recv() else { return Ok(()) };
            early.insert(number, result);
            while let Some(result) = early.remove(&taken) {
                taken += 1;
                take(result?)?;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(count: u64, bad: Option<u64>) -> Result<Vec<u64>, u64> {
        let mut items = 0..count;
        let mut taken = Vec::new();
        let square = |item| if Some(item) == bad { Err(item) } else { Ok(item * item) };
        let keep = |square| {
            taken.push(square);
            Ok(())
        };
        in_order(|| Ok(items.next()), square, keep).map(|()| taken)
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, 2, 3, 1000] {
            assert_eq!(squares(count, None), Ok((0..count).map(|item| item * item).collect()));
        }
    }

    #[test]
    fn the_work_ends_when_the_last_results_come_all_at_once() {
        let mut items = 0..4;
        let (told, others) = mpsc::channel();
        let others = Mutex::new(others);
        let work = |item| {
            if item > 0 {
                told.send(()).map_err(drop)
            } else {
                (0..3).try_for_each(|_| others.lock().unwrap().recv().map_err(drop))
            }
        };
        // As many items as may be under way: the end is asked for only then.
        assert_eq!(in_order_on(2, || Ok(items.next()), work, Ok), Ok(()));
    }

    #[test]
    fn an_error_ends_the_work() {
        assert_eq!(squares(1000, Some(500)), Err(500));
        assert_eq!(squares(1, Some(0)), Err(0));
        let next = || Err::<Option<u64>, _>(7);
        assert_eq!(in_order(next, Ok, |_| Ok(())), Err(7));
    }
}
