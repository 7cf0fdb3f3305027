//! Where bytes are on their way: the buffer that a reactor reads into, and what is leased for bytes that the other side
//! would not take: a buffer, or a pipe that they were spliced into.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Splice;
use crate::model::counters::ReactorCounters;
use crate::model::limits::{
    BUFFERS_KEPT, LARGE_AFTER, LARGE_BUFFERS_KEPT, LARGE_FACTOR, PIPE_BYTES, PIPE_BYTES_MIN, SPLICE_AFTER,
};
use crate::sys::splice::Pipe;

/// Bytes that one side sent and the other has not taken yet.
#[derive(Debug)]
pub(super) enum Held {
    /// In a leased buffer.
    Copied(Copied),
    /// In a leased pipe.
    Piped(Pipe),
}

/// Part of a buffer.
#[derive(Debug)]
pub(super) struct Copied {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Copied {
    /// What is still to be written; never empty while it is held.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes note that the first `written` bytes of the rest are gone. Returns whether nothing is left.
    pub(super) fn consume(&mut self, written: usize) -> bool {
        self.start = (self.start + written).min(self.end);
        self.start == self.end
    }
}

/// How the next bytes of a direction are moved.
#[derive(Debug)]
pub(super) enum Way {
    /// Through the first bytes of the scratch buffer, this many.
    Copy(usize),
    /// Through this empty pipe.
    Splice(Box<Held>),
}

/// What a reactor moves bytes with.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "a pair keeps it boxed, so that an idle pair is small, and no lease allocates")]
pub(super) struct Buffers {
    /// To read into. Its first `size` bytes are for all, the rest for directions that fill those again and again.
    pub(super) scratch: Box<[u8]>,
    size: usize,
    max: usize,
    /// Buffers leased; a large one counts as the small ones that it is as large as.
    leased: usize,
    free: Vec<Box<Held>>,
    free_large: Vec<Box<Held>>,
    splice_after: u8,
    /// Pipes there are, leased ones included.
    pipes: usize,
    pipes_max: usize,
    /// Pipes there may be for now: fewer than `pipes_max` after one could not be made.
    pipes_now: usize,
    free_pipes: Vec<Box<Held>>,
    pub(super) counters: Arc<ReactorCounters>,
}

/// The bounds of a reactor's buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Size of a buffer, in bytes.
    pub(super) size: usize,
    /// Most buffers leased.
    pub(super) max: usize,
    /// Most pipes.
    pub(super) pipes_max: usize,
    /// When to splice.
    pub(super) splice: Splice,
}

impl Buffers {
    pub(super) fn new(bounds: Bounds, counters: Arc<ReactorCounters>) -> Self {
        let Bounds { size, max, pipes_max, splice } = bounds;
        let pipes_max = if splice == Splice::Off { 0 } else { pipes_max };
        Self {
            scratch: vec![0; size * LARGE_FACTOR].into_boxed_slice(),
            size,
            max,
            leased: 0,
            free: Vec::new(),
            free_large: Vec::new(),
            splice_after: if splice == Splice::On { 1 } else { SPLICE_AFTER },
            pipes: 0,
            pipes_max,
            pipes_now: pipes_max,
            free_pipes: Vec::new(),
            counters,
        }
    }

    /// Size of a buffer, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether a copy may be followed by [`Self::hold`].
    pub(super) fn available(&self) -> bool {
        self.leased < self.max
    }

    /// How to move on in a direction that has filled what it was read into `streak` times in a row. `None`: nothing is
    /// free to hold what the other side may not take.
    pub(super) fn way(&mut self, streak: u8) -> Option<Way> {
        if streak >= self.splice_after
            && let Some(pipe) = self.lease_pipe()
        {
            return Some(Way::Splice(pipe));
        }
        if streak >= LARGE_AFTER && self.leased + LARGE_FACTOR <= self.max {
            return Some(Way::Copy(self.size * LARGE_FACTOR));
        }
        self.available().then_some(Way::Copy(self.size))
    }

    /// Keeps this part of the scratch buffer in a leased buffer.
    pub(super) fn hold(&mut self, start: usize, end: usize) -> Box<Held> {
        let len = end - start;
        let (free, size) = if len <= self.size {
            (&mut self.free, self.size)
        } else {
            (&mut self.free_large, self.size * LARGE_FACTOR)
        };
        let new = || Box::new(Held::Copied(Copied { bytes: vec![0; size].into_boxed_slice(), start: 0, end: 0 }));
        let mut held = free.pop().unwrap_or_else(new);
        if let Held::Copied(copied) = &mut *held {
            copied.bytes[..len].copy_from_slice(&self.scratch[start..end]);
            (copied.start, copied.end) = (0, len);
        }
        self.count(self.leased + size / self.size);
        held
    }

    /// Takes a leased buffer or pipe back.
    pub(super) fn give_back(&mut self, held: Box<Held>) {
        match &*held {
            Held::Piped(pipe) if pipe.filled() == 0 => self.free_pipes.push(held),
            Held::Piped(_) => {
                // What is in it belongs to a pair that has ended.
                drop(held);
                self.count_pipes(self.pipes - 1);
            }
            Held::Copied(copied) => {
                let units = copied.bytes.len() / self.size;
                let (free, kept) =
                    if units > 1 { (&mut self.free_large, LARGE_BUFFERS_KEPT) } else { (&mut self.free, BUFFERS_KEPT) };
                if free.len() < kept {
                    free.push(held);
                }
                self.count(self.leased - units);
            }
        }
    }

    /// Frees what was kept for later, and lets pipes be tried anew.
    pub(super) fn shrink(&mut self) {
        self.pipes_now = self.pipes_max;
        self.count_pipes(self.pipes - self.free_pipes.len());
        (self.free_pipes, self.free_large, self.free) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// Whether there is anything to [`Self::shrink`].
    pub(super) fn keeps_any(&self) -> bool {
        self.pipes_now < self.pipes_max
            || !(self.free_pipes.is_empty() && self.free_large.is_empty() && self.free.is_empty())
    }

    /// Splicing does not work here: nobody tries again.
    pub(super) fn give_up_splicing(&mut self) {
        (self.pipes_max, self.pipes_now) = (0, 0);
    }

    pub(super) fn count_copied(&self, bytes: usize) {
        // One writer: no locked addition is needed.
        let before = self.counters.bytes_copied.load(Relaxed);
        self.counters.bytes_copied.store(before + bytes as u64, Relaxed);
    }

    pub(super) fn count_spliced(&self, bytes: usize) {
        let before = self.counters.bytes_spliced.load(Relaxed);
        self.counters.bytes_spliced.store(before + bytes as u64, Relaxed);
    }

    fn lease_pipe(&mut self) -> Option<Box<Held>> {
        if self.pipes_max == 0 {
            return None;
        }
        if let Some(pipe) = self.free_pipes.pop() {
            return Some(pipe);
        }
        if self.pipes >= self.pipes_now {
            return None;
        }
        match Pipe::new(PIPE_BYTES) {
            Ok((pipe, size)) if size >= PIPE_BYTES_MIN => {
                self.count_pipes(self.pipes + 1);
                Some(Box::new(Held::Piped(pipe)))
            }
            // No descriptors, or the user's share of pipe memory is used up: those that there are must do.
            Ok(_) | Err(_) => {
                self.pipes_now = self.pipes;
                None
            }
        }
    }

    fn count_pipes(&mut self, pipes: usize) {
        self.pipes = pipes;
        self.counters.pipes.store(u32::try_from(pipes).unwrap_or(u32::MAX), Relaxed);
    }

    fn count(&mut self, leased: usize) {
        self.leased = leased;
        self.counters.buffers.store(u32::try_from(leased).unwrap_or(u32::MAX), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::STREAK_MAX;
    use proptest::prelude::*;

    fn buffers(max: usize, splice: Splice) -> Buffers {
        Buffers::new(Bounds { size: 16, max, pipes_max: 1, splice }, Arc::default())
    }

    fn hold(buffers: &mut Buffers, bytes: &[u8]) -> Box<Held> {
        buffers.scratch[..bytes.len()].copy_from_slice(bytes);
        buffers.hold(0, bytes.len())
    }

    fn copied(held: &mut Held) -> &mut Copied {
        match held {
            Held::Copied(copied) => copied,
            Held::Piped(_) => panic!("a buffer was asked for"),
        }
    }

    #[test]
    fn leased_out_pool_has_none_until_one_comes_back() {
        let mut buffers = buffers(1, Splice::Off);
        let mut held = hold(&mut buffers, b"rest");
        assert!(buffers.way(0).is_none());
        assert_eq!(copied(&mut held).rest(), b"rest");
        buffers.give_back(held);
        assert!(matches!(buffers.way(0), Some(Way::Copy(16))));
        assert_eq!(buffers.free.len(), 1);
        buffers.shrink();
        assert!(!buffers.keeps_any());
    }

    #[test]
    fn direction_that_keeps_filling_what_it_is_read_into_gets_more() {
        let mut buffers = buffers(LARGE_FACTOR + 1, Splice::Auto);
        assert!(matches!(buffers.way(LARGE_AFTER - 1), Some(Way::Copy(16))));
        assert!(matches!(buffers.way(LARGE_AFTER), Some(Way::Copy(64))));
        let Some(Way::Splice(pipe)) = buffers.way(SPLICE_AFTER) else { panic!("no pipe") };
        assert!(matches!(buffers.way(SPLICE_AFTER), Some(Way::Copy(64))), "there is one pipe only");
        buffers.give_back(pipe);
        assert!(matches!(buffers.way(SPLICE_AFTER), Some(Way::Splice(_))), "it came back");
        let large = buffers.hold(0, 17);
        let small = buffers.hold(0, 16);
        assert!(!buffers.available(), "a large one counts for four");
        buffers.give_back(large);
        buffers.give_back(small);
        assert_eq!((buffers.leased, buffers.free.len(), buffers.free_large.len()), (0, 1, 1));
    }

    #[test]
    fn pipes_that_do_not_work_are_not_tried_again() {
        let mut buffers = buffers(8, Splice::On);
        assert!(matches!(buffers.way(1), Some(Way::Splice(_))));
        buffers.give_up_splicing();
        buffers.shrink();
        assert!(matches!(buffers.way(STREAK_MAX), Some(Way::Copy(_))));
    }

    proptest! {
        #[test]
        fn held_bytes_come_out_in_order_whatever_the_writes(
            bytes in prop::collection::vec(any::<u8>(), 1..64),
            writes in prop::collection::vec(1..9_usize, 64),
        ) {
            let mut buffers = buffers(4, Splice::Off);
            let mut held = hold(&mut buffers, &bytes);
            let held = copied(&mut held);
            let mut out = Vec::new();
            for write in writes {
                let part = &held.rest()[..write.min(held.rest().len())];
                out.extend_from_slice(part);
                if held.consume(write) {
                    break;
                }
            }
            prop_assert_eq!(out, bytes);
        }
    }
}
