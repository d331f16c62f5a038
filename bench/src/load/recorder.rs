//! What a thread measures.

use std::collections::BTreeMap;

use corelane_net::error_code::ErrorCode;
use hdrhistogram::Histogram;

/// Slower answers count as this: an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Significant digits of every latency.
const DIGITS: u8 = 3;

/// The part of a run that counts, nanoseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The end of the warm-up.
    pub start_ns: u64,
    /// The end; nothing is meant to leave from here on.
    pub end_ns: u64,
}

impl Window {
    fn has(&self, time_ns: u64) -> bool {
        (self.start_ns..self.end_ns).contains(&time_ns)
    }
}

/// A request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When it was meant to leave.
    pub intended_ns: u64,
    /// When it was handed to the socket.
    pub sent_ns: u64,
}

/// What requests carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Records.
    pub records: u64,
    /// Bytes of the records' values; of whole batches where they are consumed.
    pub bytes: u64,
}

impl Work {
    /// Adds more of it.
    pub fn add(&mut self, more: Work) {
        self.records += more.records;
        self.bytes += more.bytes;
    }
}

/// Latencies and counts of one thread; merged at the end.
#[derive(Clone, Debug)]
pub struct Recorder {
    window: Window,
    /// From the intended time to the answer: what users of the broker would have waited.
    pub latency: Histogram<u64>,
    /// From the sending, or from the answer before if that came later, to the answer: what a client
    /// sees that waits for each answer before it asks again. It misses what a stall does to the
    /// requests that such a client would not have sent meanwhile.
    pub naive: Histogram<u64>,
    /// From the intended time to the moment when this program took notice of it.
    pub lateness: Histogram<u64>,
    /// Requests answered within the window.
    pub requests: u64,
    /// What they carried.
    pub work: Work,
    /// Requests intended within the window and never answered.
    pub unanswered: u64,
    /// Refused requests, by the error's number; they count nowhere else.
    pub refusals: BTreeMap<i16, u64>,
    /// Answers that told of throttling.
    pub throttled: u64,
    /// The longest time that one of them told, milliseconds.
    pub throttle_ms_max: u64,
    /// Kinds of requests that are told of apart.
    pub parts: BTreeMap<&'static str, Part>,
}

/// Requests of one kind.
#[derive(Clone, Debug)]
pub struct Part {
    /// Those answered within the window.
    pub requests: u64,
    /// What they carried.
    pub work: Work,
    /// From the intended time to the answer.
    pub latency: Histogram<u64>,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS)
        .expect("bounds and digits are within what a histogram takes")
}

impl Default for Part {
    fn default() -> Part {
        Part { requests: 0, work: Work::default(), latency: histogram() }
    }
}

impl Recorder {
    /// Nothing measured yet.
    pub fn new(window: Window) -> Recorder {
        let histogram = histogram();
        Recorder {
            window,
            latency: histogram.clone(),
            naive: histogram.clone(),
            lateness: histogram,
            requests: 0,
            work: Work::default(),
            unanswered: 0,
            refusals: BTreeMap::new(),
            throttled: 0,
            throttle_ms_max: 0,
            parts: BTreeMap::new(),
        }
    }

    /// The run ends early.
    pub fn cut(&mut self, end_ns: u64) {
        self.window.end_ns = self.window.end_ns.min(end_ns);
    }

    /// The window, as it was cut.
    pub fn window(&self) -> Window {
        self.window
    }

    /// A request was noticed to be due.
    pub fn noticed(&mut self, intended_ns: u64, now_ns: u64) {
        if self.window.has(intended_ns) {
            self.lateness.saturating_record(now_ns.saturating_sub(intended_ns).max(1));
        }
    }

    /// An answer came; the one before on this connection came at `previous_ns`.
    pub fn answered(&mut self, asked: Asked, previous_ns: u64, now_ns: u64, work: Work) {
        if self.window.has(now_ns) {
            self.requests += 1;
            self.work.add(work);
        }
        if self.window.has(asked.intended_ns) {
            let naive_ns = now_ns.saturating_sub(asked.sent_ns.max(previous_ns));
            self.latency.saturating_record(now_ns.saturating_sub(asked.intended_ns).max(1));
            self.naive.saturating_record(naive_ns.max(1));
        }
    }

    /// A request that nobody answers has gone to the socket.
    pub fn sent_unanswerable(&mut self, now_ns: u64, work: Work) {
        if self.window.has(now_ns) {
            self.requests += 1;
            self.work.add(work);
        }
    }

    /// A request was refused.
    pub fn refused(&mut self, code: ErrorCode) {
        *self.refusals.entry(code.number()).or_default() += 1;
    }

    /// An answer told how long the client is to hold back, milliseconds.
    pub fn throttled(&mut self, throttle_ms: u64) {
        self.throttled += 1;
        self.throttle_ms_max = self.throttle_ms_max.max(throttle_ms);
    }

    /// An answer to a request of one kind.
    pub fn answered_part(&mut self, name: &'static str, asked: Asked, now_ns: u64, work: Work) {
        let part = self.parts.entry(name).or_default();
        if self.window.has(now_ns) {
            part.requests += 1;
            part.work.add(work);
        }
        if self.window.has(asked.intended_ns) {
            part.latency.saturating_record(now_ns.saturating_sub(asked.intended_ns).max(1));
        }
    }

    /// A request of one kind that nobody answers has gone to the socket.
    pub fn sent_part(&mut self, name: &'static str, now_ns: u64, work: Work) {
        let part = self.parts.entry(name).or_default();
        if self.window.has(now_ns) {
            part.requests += 1;
            part.work.add(work);
        }
    }

    /// A batch that was asked to be taken has come to a reader.
    pub fn delivered(&mut self, asked: Asked, now_ns: u64) {
        if self.window.has(asked.intended_ns) {
            self.latency.saturating_record(now_ns.saturating_sub(asked.intended_ns).max(1));
            self.naive.saturating_record(now_ns.saturating_sub(asked.sent_ns).max(1));
        }
    }

    /// A batch has not come to a reader at the end: as of a request, its age is the least.
    pub fn never_delivered(&mut self, asked: Asked, now_ns: u64) {
        if self.window.has(asked.intended_ns) {
            self.latency.saturating_record(now_ns.saturating_sub(asked.intended_ns).max(1));
        }
    }

    /// Records came to a reader.
    pub fn read(&mut self, now_ns: u64, work: Work) {
        if self.window.has(now_ns) {
            self.work.add(work);
        }
    }

    /// A request has no answer at the end. Its age is the least that its latency can be: leaving it
    /// out would praise a broker for what it never did.
    pub fn never_answered(&mut self, intended_ns: u64, now_ns: u64) {
        if self.window.has(intended_ns) {
            self.unanswered += 1;
            self.latency.saturating_record(now_ns.saturating_sub(intended_ns).max(1));
        }
    }

    /// A request has no answer because the run was ended early: that says nothing of its latency.
    pub fn abandoned(&mut self, intended_ns: u64) {
        self.unanswered += u64::from(self.window.has(intended_ns));
    }

    /// Adds another thread's.
    pub fn merge(&mut self, other: &Recorder) {
        // A thread may finish before the others; none goes on for long when one has failed.
        self.window.end_ns = self.window.end_ns.max(other.window.end_ns);
        for (into, from) in [
            (&mut self.latency, &other.latency),
            (&mut self.naive, &other.naive),
            (&mut self.lateness, &other.lateness),
        ] {
            into.add(from).expect("all histograms have the same bounds");
        }
        self.requests += other.requests;
        self.work.add(other.work);
        self.unanswered += other.unanswered;
        for (code, count) in &other.refusals {
            *self.refusals.entry(*code).or_default() += count;
        }
        for (name, from) in &other.parts {
            let into = self.parts.entry(name).or_default();
            into.requests += from.requests;
            into.work.add(from.work);
            into.latency.add(&from.latency).expect("all histograms have the same bounds");
        }
        self.throttled += other.throttled;
        self.throttle_ms_max = self.throttle_ms_max.max(other.throttle_ms_max);
    }
}

#[cfg(test)]
mod tests {
    use corelane_net::error_code::ErrorCode;

    use super::{Asked, Recorder, Window, Work};

    const WORK: Work = Work { records: 10, bytes: 1000 };

    fn asked(intended_ns: u64, sent_ns: u64) -> Asked {
        Asked { intended_ns, sent_ns }
    }

    #[test]
    fn latency_counts_from_the_intended_time_and_the_naive_one_does_not() {
        let mut recorder = Recorder::new(Window { start_ns: 0, end_ns: 1_000_000 });
        // Sent late, and queued behind an answer that came late as well.
        recorder.answered(asked(1_000, 1_500), 1_800, 2_000, WORK);
        assert_eq!((recorder.latency.max(), recorder.naive.max()), (1_000, 200));
        recorder.answered(asked(10_000, 15_000), 9_000, 50_000, WORK);
        assert!((39_990..40_050).contains(&recorder.latency.max()));
        assert!((34_990..35_050).contains(&recorder.naive.max()));
    }

    #[test]
    fn only_the_window_counts() {
        let mut recorder = Recorder::new(Window { start_ns: 100, end_ns: 200 });
        // Asked in the warm-up, answered in the window: work, but no latency.
        recorder.answered(asked(50, 50), 0, 150, WORK);
        assert_eq!((recorder.requests, recorder.latency.len()), (1, 0));
        // Asked in the window, answered after it: the other way round.
        recorder.answered(asked(150, 150), 0, 300, WORK);
        assert_eq!((recorder.requests, recorder.latency.len()), (1, 1));
        recorder.never_answered(199, 5_199);
        recorder.never_answered(200, 5_200);
        assert_eq!((recorder.unanswered, recorder.latency.len()), (1, 2));
        assert!(recorder.latency.max() >= 5_000);
        recorder.cut(160);
        recorder.abandoned(155);
        recorder.abandoned(165);
        assert_eq!(recorder.unanswered, 2);
        recorder.noticed(150, 157);
        recorder.noticed(170, 177);
        assert_eq!((recorder.lateness.len(), recorder.lateness.max()), (1, 7));
    }

    #[test]
    fn threads_add_up() {
        let mut sum = Recorder::new(Window { start_ns: 0, end_ns: 1_000 });
        let mut other = sum.clone();
        sum.answered(asked(0, 0), 0, 500, WORK);
        other.answered(asked(0, 0), 0, 700, WORK);
        other.refused(ErrorCode::CorruptMessage);
        other.throttled(30);
        other.answered_part("some", asked(0, 0), 600, WORK);
        other.cut(900);
        sum.merge(&other);
        assert_eq!((sum.requests, sum.latency.len(), sum.latency.max()), (2, 2, 700));
        assert_eq!(sum.work, Work { records: 20, bytes: 2000 });
        assert_eq!(sum.refusals.into_iter().collect::<Vec<_>>(), [(2, 1)]);
        assert_eq!((sum.throttled, sum.throttle_ms_max), (1, 30));
        assert_eq!(sum.window.end_ns, 1_000);
        let part = &sum.parts["some"];
        assert_eq!((part.requests, part.work, part.latency.max()), (1, WORK, 600));
    }
}
