//! What the operator chose to see.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Longest filter, in characters.
const FILTER_CHARS_MAX: usize = 60;
/// Lines that a page key moves.
const PAGE: usize = 10;

/// The choice.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Whether keys do anything.
    pub(super) is_live: bool,
    pub(super) order: Order,
    pub(super) is_reversed: bool,
    /// Part of a service's, group's or host's name, or of a state.
    pub(super) filter: String,
    /// Whether the filter is being typed.
    pub(super) is_typing: bool,
    /// The first line of the list that is shown. Drawing bounds it.
    pub(super) scroll: usize,
}

/// What hosts are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    File,
    State,
    Open,
    Connects,
    Up,
    Down,
    Connect,
    Failed,
}

impl Order {
    const ALL: [Self; 8] =
        [Self::File, Self::State, Self::Open, Self::Connects, Self::Up, Self::Down, Self::Connect, Self::Failed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "as in the file",
            Self::State => "state",
            Self::Open => "open",
            Self::Connects => "conn/s",
            Self::Up => "in/s",
            Self::Down => "out/s",
            Self::Connect => "connect",
            Self::Failed => "failed",
        }
    }

    fn turned(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|order| *order == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another picture.
    Draw,
    /// The end.
    End,
}

impl Chosen {
    /// A key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Draw;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Next::End;
        }
        if self.is_typing {
            self.type_filter(key.code);
            return Next::Draw;
        }
        match key.code {
            KeyCode::Char('q') => return Next::End,
            KeyCode::Esc if self.filter.is_empty() => return Next::End,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('s') | KeyCode::Right => self.order = self.order.turned(1),
            KeyCode::Char('S') | KeyCode::Left => self.order = self.order.turned(Order::ALL.len() - 1),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = self.scroll.saturating_add(PAGE),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            KeyCode::End | KeyCode::Char('G') => self.scroll = usize::MAX,
            _ => {}
        }
        Next::Draw
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) if self.filter.chars().count() < FILTER_CHARS_MAX => self.filter.push(c),
            _ => {}
        }
        self.scroll = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(chosen: &mut Chosen, keys: &[KeyCode]) -> Next {
        keys.iter().map(|code| chosen.press(KeyEvent::from(*code))).last().unwrap()
    }

    #[test]
    fn filter_is_typed_kept_and_cleared() {
        let mut chosen = Chosen::default();
        press(&mut chosen, &['/', 'q', 's'].map(KeyCode::Char));
        assert!(chosen.is_typing && chosen.filter == "qs");
        press(&mut chosen, &[KeyCode::Backspace, KeyCode::Enter]);
        assert!(!chosen.is_typing && chosen.filter == "q");
        assert_eq!(press(&mut chosen, &[KeyCode::Esc]), Next::Draw);
        assert!(chosen.filter.is_empty());
        assert_eq!(press(&mut chosen, &[KeyCode::Esc]), Next::End);
    }

    #[test]
    fn order_goes_around_both_ways() {
        let mut chosen = Chosen::default();
        press(&mut chosen, &[KeyCode::Left]);
        assert_eq!(chosen.order, Order::Failed);
        press(&mut chosen, &[KeyCode::Char('s'), KeyCode::Right, KeyCode::Char('s')]);
        assert_eq!(chosen.order, Order::Open);
        assert_eq!(press(&mut chosen, &[KeyCode::Char('q')]), Next::End);
    }
}
