//! A segment as its file and the journal's fragments make it together.

use crate::buffer::AlignedBuf;
use crate::journal::format::ENTRY_BYTES_MAX;
use crate::journal::scan::Fragment;
use crate::runtime::{BLOCK_BYTES, DiskError, File, block_ceil, block_floor};

const WINDOW_BYTES: usize = 1 << 20;

/// Bytes that take precedence over the file's.
struct Overlay {
    position: u64,
    /// Later ones count where two overlap.
    order: usize,
    bytes: Vec<u8>,
}

impl Overlay {
    fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }
}

/// One segment, read through a window.
pub(crate) struct Merged<F> {
    file: Option<F>,
    file_bytes: u64,
    /// By position.
    overlays: Vec<Overlay>,
    longest_overlay: u64,
    window: Vec<u8>,
    window_at: u64,
    pub(crate) bytes_read: u64,
}

impl<F: File> Merged<F> {
    /// The segment `base` from `from` on; `carried` are the bytes before it in its block.
    pub(crate) fn new(
        file: Option<F>,
        file_bytes: u64,
        base: i64,
        fragments: &[Fragment],
        from: u64,
        carried: &[u8],
    ) -> Self {
        let of_segment = fragments.iter().filter(|f| f.segment_base == base);
        let mut overlays: Vec<_> = of_segment
            .enumerate()
            .filter(|(_, f)| f.position + f.bytes.len() as u64 > from)
            .map(|(i, f)| {
                // What lies before the checkpoint is settled, whatever a fragment says of it.
                let skip = from.saturating_sub(f.position).min(f.bytes.len() as u64);
                Overlay {
                    position: f.position + skip,
                    order: i + 1,
                    bytes: f.bytes[skip as usize..].to_vec(),
                }
            })
            .collect();
        if !carried.is_empty() {
            let position = from - carried.len() as u64;
            overlays.push(Overlay { position, order: 0, bytes: carried.to_vec() });
        }
        overlays.sort_by_key(|o| (o.position, o.order));
        let longest_overlay = overlays.iter().map(|o| o.bytes.len()).max().unwrap_or(0) as u64;
        debug_assert!(longest_overlay <= ENTRY_BYTES_MAX as u64);
        Merged {
            file,
            file_bytes,
            overlays,
            longest_overlay,
            window: Vec::new(),
            window_at: 0,
            bytes_read: 0,
        }
    }

    pub(crate) fn file(&self) -> Option<F> {
        self.file.clone()
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    pub(crate) fn has_overlay(&self) -> bool {
        !self.overlays.is_empty()
    }

    /// No byte can stand at or behind this position.
    pub(crate) fn limit(&self) -> u64 {
        let overlaid = self.overlays.iter().map(Overlay::end).max().unwrap_or(0);
        overlaid.max(self.file_bytes)
    }

    /// End of what an overlay says; the file's own length says nothing, as it is reserved ahead.
    pub(crate) fn written_end(&self) -> u64 {
        self.overlays.iter().map(Overlay::end).max().unwrap_or(0)
    }

    /// `length` bytes at `position`, or fewer at the limit.
    pub(crate) async fn read(&mut self, position: u64, length: usize) -> Result<&[u8], DiskError> {
        let end = (position + length as u64).min(self.limit());
        let length = end.saturating_sub(position) as usize;
        let in_window =
            position >= self.window_at && end <= self.window_at + self.window.len() as u64;
        if !in_window {
            self.load(position, length.max(WINDOW_BYTES)).await?;
        }
        let from = (position - self.window_at) as usize;
        let window = self.window.get(from..).unwrap_or_default();
        Ok(&window[..length.min(window.len())])
    }

    async fn load(&mut self, position: u64, length: usize) -> Result<(), DiskError> {
        let begin = block_floor(position);
        let end = block_ceil((position + length as u64).min(self.limit()));
        let mut window = Vec::new();
        if let Some(file) = &self.file
            && begin < self.file_bytes
            && begin < end
        {
            let buf: AlignedBuf = file.read_at(begin, (end - begin) as usize).await?;
            self.bytes_read += buf.filled() as u64;
            window.extend_from_slice(buf.as_bytes());
        }
        window.resize((end - begin) as usize, 0);
        self.overlay(&mut window, begin);
        self.window = window;
        self.window_at = begin;
        Ok(())
    }

    fn overlay(&self, window: &mut [u8], begin: u64) {
        let end = begin + window.len() as u64;
        let mut hits: Vec<_> = self.hits(begin, end).collect();
        hits.sort_by_key(|o| o.order);
        for overlay in hits {
            let (from, to) = (overlay.position.max(begin), overlay.end().min(end));
            let source = &overlay.bytes
                [(from - overlay.position) as usize..(to - overlay.position) as usize];
            window[(from - begin) as usize..(to - begin) as usize].copy_from_slice(source);
        }
    }

    fn hits(&self, begin: u64, end: u64) -> impl Iterator<Item = &Overlay> {
        let lowest = begin.saturating_sub(self.longest_overlay);
        let first = self.overlays.partition_point(|o| o.position < lowest);
        self.overlays[first..]
            .iter()
            .take_while(move |o| o.position < end)
            .filter(move |o| o.end() > begin)
    }

    /// Writes the blocks of `[begin, end)` (block-aligned) that overlays touch, zeros behind `valid_end`.
    pub(crate) async fn write_overlay(
        &mut self,
        file: &F,
        begin: u64,
        end: u64,
        valid_end: u64,
    ) -> Result<(), DiskError> {
        let mut at = begin;
        while at < end {
            let upto = (at + WINDOW_BYTES as u64).min(end);
            if self.hits(at, upto).next().is_some() {
                let wanted = (upto.min(valid_end) - at) as usize;
                let bytes = self.read(at, wanted).await?;
                let mut buf = AlignedBuf::with_capacity((upto - at) as usize);
                buf.put(bytes);
                while buf.filled() < (upto - at) as usize {
                    let missing = (upto - at) as usize - buf.filled();
                    buf.put(&[0; BLOCK_BYTES][..missing.min(BLOCK_BYTES)]);
                }
                file.write_at(at, buf.slice(0, buf.filled())).await?;
            }
            at = upto;
        }
        Ok(())
    }
}
