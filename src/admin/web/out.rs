//! What a connection still has to send.

use std::collections::VecDeque;

use crate::admin::http::Content;

/// Contents in their order. Those that several connections send are not copied.
#[derive(Debug, Default)]
pub(super) struct Out {
    contents: VecDeque<Content>,
    /// Bytes of the first that are sent.
    sent: usize,
    len: usize,
}

impl Out {
    /// Adds to its end.
    pub(super) fn push(&mut self, content: Content) {
        self.len += content.bytes().len();
        if !content.bytes().is_empty() {
            self.contents.push_back(content);
        }
    }

    /// Bytes that are not sent.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The next bytes; empty when all are sent.
    pub(super) fn next(&self) -> &[u8] {
        self.contents.front().map_or(&[], |content| &content.bytes()[self.sent..])
    }

    /// So many of [`Self::next`] were sent.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
        self.len -= count;
        if self.contents.front().is_some_and(|content| content.bytes().len() == self.sent) {
            self.contents.pop_front();
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_sent_in_order_whatever_is_taken_at_a_time() {
        for step in 1..8 {
            let mut out = Out::default();
            out.push(Content::Static(b"abc"));
            out.push(Content::Static(b""));
            out.push(Content::Owned(b"defg".to_vec()));
            let mut all = Vec::new();
            while out.len() > 0 {
                let count = out.next().len().min(step);
                all.extend_from_slice(&out.next()[..count]);
                out.advance(count);
            }
            assert_eq!(all, b"abcdefg");
            assert!(out.next().is_empty());
        }
    }
}
