//! What was measured.

use std::fmt;
use std::path::PathBuf;

/// Bytes moved in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Bytes moved.
    pub bytes: u64,
    /// In how many seconds.
    pub seconds: f64,
}

impl Throughput {
    /// Gigabytes (10^9 bytes) per second; 0 if nothing was timed.
    pub fn gb_per_s(&self) -> f64 {
        if self.seconds > 0.0 { self.bytes as f64 / self.seconds / 1e9 } else { 0.0 }
    }
}

/// A distribution of latencies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// How many were measured.
    pub samples: u64,
    /// Half were faster.
    pub p50_us: f64,
    /// 99 of 100 were faster.
    pub p99_us: f64,
    /// The slowest.
    pub max_us: f64,
}

/// The ceiling of one directory's disk.
#[derive(Clone, Debug, PartialEq)]
pub struct CeilingReport {
    /// Where it was measured.
    pub dir: PathBuf,
    /// False if the filesystem refuses O_DIRECT: then the page cache was measured as well.
    pub direct: bool,
    /// Size of one write or read, bytes.
    pub block_bytes: u64,
    /// How many of them were under way at once.
    pub depth: usize,
    /// Sequential writes into preallocated space.
    pub write: Throughput,
    /// Sequential reads of the same.
    pub read: Throughput,
    /// fdatasync after each write of one 4 KiB block.
    pub sync: Latency,
}

impl CeilingReport {
    /// One JSON object on one line. Units are in the names; a name never changes its meaning.
    pub fn to_json(&self) -> String {
        format!(
            concat!(
                "{{\"dir\":{},\"direct\":{},\"block_bytes\":{},\"depth\":{},",
                "\"write_bytes\":{},\"write_gb_per_s\":{:.4},",
                "\"read_bytes\":{},\"read_gb_per_s\":{:.4},",
                "\"sync_samples\":{},\"sync_p50_us\":{:.1},\"sync_p99_us\":{:.1},\"sync_max_us\":{:.1}}}"
            ),
            json_string(&self.dir.to_string_lossy()),
            self.direct,
            self.block_bytes,
            self.depth,
            self.write.bytes,
            self.write.gb_per_s(),
            self.read.bytes,
            self.read.gb_per_s(),
            self.sync.samples,
            self.sync.p50_us,
            self.sync.p99_us,
            self.sync.max_us,
        )
    }
}

impl fmt::Display for CeilingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.direct { "direct" } else { "through the page cache" };
        let (kib, depth) = (self.block_bytes >> 10, self.depth);
        writeln!(f, "{}   ({path}, {kib} KiB blocks, {depth} at once)", self.dir.display())?;
        for (name, moved) in [("write", &self.write), ("read", &self.read)] {
            let (gb_per_s, mib, seconds) = (moved.gb_per_s(), moved.bytes >> 20, moved.seconds);
            writeln!(f, "  {name:<10} {gb_per_s:>8.3} GB/s   ({mib} MiB in {seconds:.2} s)")?;
        }
        let Latency { samples, p50_us, p99_us, max_us } = self.sync;
        write!(
            f,
            "  fdatasync  p50 {p50_us:.0} us, p99 {p99_us:.0} us, max {max_us:.0} us   \
             ({samples} samples)"
        )
    }
}

/// `text` as a JSON string (RFC 8259, section 7).
pub(crate) fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if (c as u32) < 0x20 => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
