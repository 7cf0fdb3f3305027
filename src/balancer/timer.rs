//! A hierarchical timer wheel (Varghese and Lauck, 1987): setting and cancelling cost the same for any number of
//! timers. One timer a slot number, in ticks of a millisecond; a timer never fires early.

const LEVELS: usize = 7;
const SLOTS: usize = 64;
const BITS: u32 = 6;
const NONE: u32 = u32::MAX;
const UNSET: u16 = u16::MAX;
/// Ticks that the wheel spans: 139 years, counted from its start, which no process lives to see. Later deadlines fire
/// then.
const SPAN: u64 = 1 << 42;
const _: () = assert!(SPAN == (SLOTS as u64).pow(7) && LEVELS == 7 && SLOTS == 1 << BITS);

#[derive(Clone, Copy, Debug)]
struct Node {
    previous: u32,
    next: u32,
    place: u16,
    deadline: u64,
}

/// Timers by slot number.
#[derive(Debug)]
pub struct Wheel {
    nodes: Vec<Node>,
    heads: [[u32; SLOTS]; LEVELS],
    /// No timer of the place is due before this.
    earliest: [[u64; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    now: u64,
    len: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            heads: [[NONE; SLOTS]; LEVELS],
            earliest: [[u64::MAX; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            now: 0,
            len: 0,
        }
    }
}

impl Wheel {
    /// Timers that are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The deadline of this slot's timer, in milliseconds.
    #[must_use]
    pub fn deadline(&self, slot: u32) -> Option<u64> {
        self.nodes.get(slot as usize).filter(|node| node.place != UNSET).map(|node| node.deadline)
    }

    /// Sets the timer of `slot` to `deadline` milliseconds, in place of any earlier one.
    pub fn set(&mut self, slot: u32, deadline: u64) {
        self.cancel(slot);
        let index = slot as usize;
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, Node { previous: NONE, next: NONE, place: UNSET, deadline: 0 });
        }
        self.nodes[index].deadline = deadline;
        self.link(slot);
        self.len += 1;
    }

    /// Cancels the timer of `slot`, if there is one.
    pub fn cancel(&mut self, slot: u32) {
        if self.deadline(slot).is_some() {
            self.unlink(slot);
            self.len -= 1;
        }
    }

    /// Frees what is kept for slot numbers from `slots` on. They must have no timer set.
    pub fn shrink(&mut self, slots: usize) {
        debug_assert!(self.nodes.iter().skip(slots).all(|node| node.place == UNSET));
        self.nodes.truncate(slots);
        self.nodes.shrink_to_fit();
    }

    /// The next timer that is due at `now` milliseconds, earliest first to the tick; it is not set any more.
    pub fn pop(&mut self, now: u64) -> Option<u32> {
        while let Some((level, place, start)) = self.first() {
            if start > now {
                break;
            }
            self.now = self.now.max(start);
            if level == 0 {
                let head = self.heads[level][place];
                self.unlink(head);
                self.len -= 1;
                return Some(head);
            }
            // The slot's time has come: all its timers move to finer levels.
            while self.occupied[level] & (1 << place) != 0 {
                let head = self.heads[level][place];
                self.unlink(head);
                self.link(head);
            }
        }
        self.now = self.now.max(now);
        None
    }

    /// When to look again, in milliseconds: at the earliest deadline, or before it if an earlier timer has been cancelled
    /// since. No finer level is filled before that: who sleeps until then is woken by due timers alone.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.first().map(|(level, place, start)| self.earliest[level][place].max(start))
    }

    // Every timer of a level lies after those of the finer levels, because a level holds what differs from now in
    // its own digit at the highest.
    fn first(&self) -> Option<(usize, usize, u64)> {
        let level = (0..LEVELS).find(|level| self.occupied[*level] != 0)?;
        let place = self.occupied[level].trailing_zeros();
        let shift = BITS * u32::try_from(level).unwrap_or(0);
        let above = self.now >> (shift + BITS) << (shift + BITS);
        Some((level, place as usize, above + (u64::from(place) << shift)))
    }

    fn link(&mut self, slot: u32) {
        let index = slot as usize;
        let when = self.nodes[index].deadline.clamp(self.now, (self.now | (SPAN - 1)).max(self.now));
        let level = ((63 - ((self.now ^ when) | 63).leading_zeros()) / BITS) as usize;
        let digits = when >> (BITS * u32::try_from(level).unwrap_or(0));
        let place = usize::try_from(digits % SLOTS as u64).unwrap_or(0);
        let head = self.heads[level][place];
        let node = &mut self.nodes[index];
        (node.previous, node.next) = (NONE, head);
        node.place = u16::try_from(level * SLOTS + place).unwrap_or(UNSET);
        if head != NONE {
            self.nodes[head as usize].previous = slot;
        }
        let bound = if head == NONE { when } else { when.min(self.earliest[level][place]) };
        self.earliest[level][place] = bound;
        self.heads[level][place] = slot;
        self.occupied[level] |= 1 << place;
    }

    fn unlink(&mut self, slot: u32) {
        let Node { previous, next, place, .. } = self.nodes[slot as usize];
        let (level, place) = (place as usize / SLOTS, place as usize % SLOTS);
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous == NONE {
            self.heads[level][place] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << place);
            }
        } else {
            self.nodes[previous as usize].next = next;
        }
        self.nodes[slot as usize].place = UNSET;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn empty_wheel_has_nothing_to_wait_for() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.next(), None);
        assert_eq!(wheel.pop(1000), None);
    }

    #[test]
    fn timer_set_again_fires_once_at_its_last_deadline() {
        let mut wheel = Wheel::default();
        wheel.set(3, 10);
        wheel.set(3, 5_000_000);
        assert_eq!(wheel.pop(4_999_999), None);
        assert_eq!(wheel.pop(5_000_000), Some(3));
        assert_eq!(wheel.pop(u64::MAX), None);
        assert!(wheel.is_empty());
    }

    #[test]
    fn sleeper_is_woken_once_for_each_deadline_however_far() {
        let mut wheel = Wheel::default();
        let deadlines = [60, 65, 5_000, 5_001, 300_000, 601_234, 601_235, 90_000_000];
        for (slot, deadline) in (0..).zip(deadlines) {
            wheel.set(slot, deadline);
        }
        for deadline in deadlines {
            assert_eq!(wheel.next(), Some(deadline));
            assert!(wheel.pop(deadline).is_some());
            assert_eq!(wheel.pop(deadline), None);
        }
    }

    #[test]
    fn deadline_in_the_past_fires_at_once() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.pop(1 << 20), None);
        wheel.set(0, 3);
        assert_eq!(wheel.pop(1 << 20), Some(0));
    }

    #[test]
    fn deadline_beyond_the_span_does_not_disturb() {
        let mut wheel = Wheel::default();
        wheel.set(0, u64::MAX);
        wheel.set(1, 70);
        assert_eq!(wheel.pop(80), Some(1));
        assert_eq!(wheel.pop(90), None);
        assert_eq!(wheel.len(), 1);
    }

    #[test]
    fn timer_set_after_two_years_fires_at_its_deadline() {
        // Two years, and a moment before the finer digits are used up.
        let last = (1 << 36) - 1;
        let mut wheel = Wheel::default();
        assert_eq!(wheel.pop(last), None);
        wheel.set(0, last + 600_000);
        assert_eq!(wheel.pop(last), None);
        assert_eq!(wheel.pop(last + 599_999), None);
        assert_eq!(wheel.pop(last + 600_000), Some(0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u64),
        Cancel(u32),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let wait = prop_oneof![0..70_u64, 0..5000_u64, 0..20_000_000_u64];
        prop_oneof![
            (0..40_u32, wait.clone()).prop_map(|(slot, wait)| Step::Set(slot, wait)),
            (0..40_u32).prop_map(Step::Cancel),
            wait.prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn wheel_fires_exactly_what_a_sorted_map_would(steps in prop::collection::vec(step(), 1..200)) {
            let (mut wheel, mut model, mut now) = (Wheel::default(), BTreeMap::new(), 0);
            for step in steps {
                match step {
                    Step::Set(slot, wait) => {
                        wheel.set(slot, now + wait);
                        model.insert(slot, now + wait);
                    }
                    Step::Cancel(slot) => {
                        wheel.cancel(slot);
                        model.remove(&slot);
                    }
                    Step::Pass(wait) => {
                        now += wait;
                        let mut fired: Vec<u32> = std::iter::from_fn(|| wheel.pop(now)).collect();
                        fired.sort_unstable();
                        let due: Vec<u32> = model.iter().filter(|(_, at)| **at <= now).map(|(slot, _)| *slot).collect();
                        model.retain(|_, at| *at > now);
                        prop_assert_eq!(fired, due);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                match (wheel.next(), model.values().min()) {
                    (None, None) => {}
                    (Some(next), Some(first)) => prop_assert!(next <= *first.max(&now), "{} {}", next, first),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}
