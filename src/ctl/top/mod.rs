//! `top`: hosts and their traffic, live in the terminal, a look a second.
//!
//! `sample` reads what the socket answers, `minute` makes rates of two looks and remembers the last minute, `view` draws
//! it, `keys` is what the operator chose to see.

mod keys;
mod minute;
mod sample;
mod view;

use std::io::{self, IsTerminal, Stdout};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};
use crossterm::execute;
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::link::Failure;
use super::perform::Session;
use super::say;
use keys::{Chosen, Next};
use minute::Minute;
use sample::Sample;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How long an answer may take before the connection is called lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// Columns of one picture, where no terminal says how many there are.
const COLUMNS: u16 = 120;

/// Shows it until the operator has seen enough; one picture as text with `once`, or without a terminal.
///
/// # Errors
/// The balancer or the terminal cannot be reached.
pub(super) fn run(session: &mut Session, once: bool) -> Result<u8, Failure> {
    session.link.be_patient(PATIENCE)?;
    let mut minute = Minute::default();
    minute.take(look(session)?, Instant::now());
    if once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        thread::sleep(LOOK);
        minute.take(look(session)?, Instant::now());
        return Ok(say(&picture(&minute)));
    }
    live(session, minute)
}

fn look(session: &mut Session) -> Result<Sample, Failure> {
    session.link.ask_json("status").map(|status| Sample::of(&status))
}

/// All of it as text.
fn picture(minute: &Minute) -> String {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = columns.or_else(|| terminal::size().ok().map(|(columns, _)| columns)).unwrap_or(COLUMNS);
    let area = Rect::new(0, 0, columns.clamp(40, 1000), view::rows(minute));
    let mut buffer = Buffer::empty(area);
    view::draw(minute, &mut Chosen::default(), area, &mut buffer);
    let line = |y| {
        let line: String = (0..area.width).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect();
        format!("{}\n", line.trim_end())
    };
    (0..area.height).map(line).collect()
}

fn live(session: &mut Session, mut minute: Minute) -> Result<u8, Failure> {
    let here = |error: io::Error| Failure::Here(format!("the terminal: {error}"));
    let _screen = Screen::begin().map_err(here)?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(here)?;
    let mut chosen = Chosen { is_live: true, ..Chosen::default() };
    let mut next = Instant::now() + LOOK;
    loop {
        draw(&mut terminal, &minute, &mut chosen).map_err(here)?;
        while event::poll(next.saturating_duration_since(Instant::now())).map_err(here)? {
            match event::read().map_err(here)? {
                Event::Key(key) => match chosen.press(key) {
                    Next::End => return Ok(0),
                    Next::Draw => {}
                },
                Event::Resize(..) => {}
                _ => continue,
            }
            draw(&mut terminal, &minute, &mut chosen).map_err(here)?;
        }
        next = Instant::now() + LOOK;
        match look(session) {
            Ok(sample) => {
                minute.lost = None;
                minute.take(sample, Instant::now());
            }
            Err(failure) => {
                minute.lost = Some(failure.to_string());
                if let Ok(fresh) = Session::open(&session.options) {
                    *session = fresh;
                    session.link.be_patient(PATIENCE)?;
                }
            }
        }
    }
}

fn draw(
    terminal: &mut Terminal<CrosstermBackend<Stdout>>,
    minute: &Minute,
    chosen: &mut Chosen,
) -> Result<(), io::Error> {
    terminal.draw(|frame| view::draw(minute, chosen, frame.area(), frame.buffer_mut())).map(drop)
}

/// The terminal's other screen, until this is dropped.
struct Screen;

impl Screen {
    fn begin() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, crossterm::cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}
