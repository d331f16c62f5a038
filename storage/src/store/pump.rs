//! The pump: cuts what was appended into runs, and writes the journal, one entry at a time. While
//! an entry is on its way, appends pile up for the next: the slower the disk, the larger the commits.

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::journal::company::{Company, Wait};
use crate::journal::writer::PendingEntry;
use crate::log::Log;
use crate::mutants::{Mutant, active};
use crate::runtime::{DiskError, Runtime};
use crate::store::shared::Shared;

/// Runs until the store stops and nothing is left to write.
pub(crate) async fn run<R: Runtime>(shared: Rc<Shared<R>>) {
    let mut company = Company::default();
    loop {
        let has_work = || !shared.dirty.borrow().is_empty() || shared.journal.has_pending();
        let must_end = || shared.stopping.get() || shared.failed.borrow().is_some();
        shared.work.until(|| has_work() || must_end()).await;
        if shared.failed.borrow().is_some() || !has_work() {
            return;
        }
        gather(&shared, &mut company).await;
        let before = shared.dirty.borrow().len();
        let gathered = shared.gathered.replace(0);
        cut_runs(&shared);
        relieve(&shared);
        if active(Mutant::AcknowledgeBeforeWrite) {
            publish_written(&shared);
        }
        match shared.journal.take_entry() {
            Some(entry) => {
                let long_runs = shared.long_work.until(|| {
                    cut_long_runs(&shared);
                    false
                });
                let (written, long_runs) = (pin!(write_entry(&shared, entry)), pin!(long_runs));
                let began = shared.runtime.monotonic();
                if let Either::Left((Err(error), _)) = select(written, long_runs).await {
                    fail_all(&shared, "the journal can't be written", &error);
                }
                let took = shared.runtime.monotonic() - began;
                company.wrote(gathered, shared.gathered.get(), took);
            }
            None if before > 0 && shared.dirty.borrow().len() == before => {
                // Every run waits for segment writes to end, and each end notifies.
                shared.work.until(|| shared.has_segment_slot()).await;
            }
            None => {}
        }
        publish_written(&shared);
        shared.enforce_cache();
    }
}

/// Waits for more appends if those before had company; for none that need not wait for the journal.
async fn gather<R: Runtime>(shared: &Shared<R>, company: &mut Company) {
    let is_urgent = || {
        let waits_already = shared.journal.has_pending() || !shared.long.borrow().is_empty();
        waits_already || shared.stopping.get() || shared.failed.borrow().is_some()
    };
    if is_urgent() {
        return;
    }
    let before = shared.gathered.get();
    let Some(Wait { goal, patience }) = company.wait(before) else { return };
    shared.gather_goal.set(goal);
    let gathered = shared.work.until(|| shared.gathered.get() >= goal || is_urgent());
    select(pin!(gathered), pin!(shared.runtime.sleep(patience))).await;
    shared.gather_goal.set(0);
    company.waited(before, shared.gathered.get());
}

fn cut_runs<R: Runtime>(shared: &Shared<R>) {
    cut_long_runs(shared);
    let dirty = std::mem::take(&mut *shared.dirty.borrow_mut());
    for log in dirty {
        log.cut_run();
    }
}

/// If half of what may wait for segments waits for more of its kind, all of it is sent on its way: many
/// logs may each have too little to go of itself.
fn relieve<R: Runtime>(shared: &Shared<R>) {
    if shared.unissued_bytes() >= (shared.limits.unwritten_bytes / 2).max(1) {
        shared.active.borrow().iter().for_each(Log::fill);
    }
}

/// Long runs do not wait for the journal's turn.
fn cut_long_runs<R: Runtime>(shared: &Shared<R>) {
    let long = std::mem::take(&mut *shared.long.borrow_mut());
    for log in long {
        log.cut_long_run();
    }
}

async fn write_entry<R: Runtime>(shared: &Shared<R>, entry: PendingEntry) -> Result<(), DiskError> {
    shared.with_descriptors(async || shared.journal.prepare(&entry).await).await?;
    shared.journal.write(entry).await
}

fn publish_written<R: Runtime>(shared: &Shared<R>) {
    let wrote = std::mem::take(&mut *shared.wrote.borrow_mut());
    for log in &wrote {
        log.publish();
    }
    let journal_written = shared.journal.written();
    let waiting = wrote.into_iter().filter(|log| log.waits_for_journal(journal_written));
    // Their entries are assembled but not written: the next round publishes them.
    let waiting: Vec<_> = waiting.collect();
    shared.wrote.borrow_mut().extend(waiting);
}

/// The shard's journal is lost: none of its logs can keep its word any more.
pub(crate) fn fail_all<R: Runtime>(shared: &Shared<R>, what: &str, error: &dyn std::error::Error) {
    tracing::error!(%error, "{what}: all partitions of this shard go offline");
    let reason = format!("{what}: {error}");
    shared.failed.borrow_mut().get_or_insert_with(|| reason.as_str().into());
    shared.work.notify_all();
    shared.room.notify_all();
    let lists = [&shared.wrote, &shared.unflushed, &shared.active, &shared.dirty, &shared.long];
    let logs: Vec<Log<R>> = lists.iter().flat_map(|list| list.borrow().clone()).collect();
    for log in logs {
        log.go_offline(&reason);
    }
}
