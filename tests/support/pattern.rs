//! Endless byte streams that can be checked at any place: each byte received is compared with the byte that was sent.
//!
//! A stream is a window into one block of random bytes whose length is prime, so that a lost, repeated or foreign piece
//! shows at its first byte.

use std::sync::OnceLock;

use director::model::rng::Rng;

const BLOCK_BYTES: usize = 1_048_573;
/// The start of the block again, so that a window never has to wrap.
const OVERLAP_BYTES: usize = 256 * 1024;

/// One stream; equal seeds make equal streams.
#[derive(Clone, Debug)]
pub struct Pattern {
    at: usize,
    passed: u64,
}

impl Pattern {
    /// The stream of this seed, from its first byte.
    pub fn new(seed: u64) -> Self {
        let start = Rng::new(seed).below(BLOCK_BYTES as u64);
        Self { at: usize::try_from(start).unwrap(), passed: 0 }
    }

    /// How many bytes have been taken or checked.
    pub const fn passed(&self) -> u64 {
        self.passed
    }

    /// The next bytes, at most `most` of them, without taking them.
    pub fn peek(&self, most: u64) -> &'static [u8] {
        let length = usize::try_from(most.min(OVERLAP_BYTES as u64)).unwrap();
        &block()[self.at..self.at + length]
    }

    /// Moves on by `count` bytes.
    pub const fn take(&mut self, count: usize) {
        self.at = (self.at + count) % BLOCK_BYTES;
        self.passed += count as u64;
    }

    /// Compares `bytes` with what comes next and moves on.
    ///
    /// # Errors
    /// The offset in the stream of the first byte that differs.
    pub fn check(&mut self, bytes: &[u8]) -> Result<(), u64> {
        for piece in bytes.chunks(OVERLAP_BYTES) {
            let expected = self.peek(piece.len() as u64);
            if piece != expected {
                let wrong = piece.iter().zip(expected).take_while(|(a, b)| a == b).count();
                return Err(self.passed + wrong as u64);
            }
            self.take(piece.len());
        }
        Ok(())
    }

    /// The next `count` bytes as a vector.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::with_capacity(count);
        while all.len() < count {
            let piece = self.peek((count - all.len()) as u64);
            all.extend_from_slice(piece);
            self.take(piece.len());
        }
        all
    }
}

fn block() -> &'static [u8] {
    static BLOCK: OnceLock<Vec<u8>> = OnceLock::new();
    BLOCK.get_or_init(|| {
        let mut rng = Rng::new(1);
        let mut bytes: Vec<u8> = (0..BLOCK_BYTES.div_ceil(8)).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
        bytes.truncate(BLOCK_BYTES);
        bytes.extend_from_within(..OVERLAP_BYTES);
        bytes
    })
}
