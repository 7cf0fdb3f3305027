//! A terminal of its own for a program that behaves otherwise on one, and what a test types there.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::wait::{PATIENCE, holds_within, until};

/// A pseudoterminal. What is typed before a program runs on it waits in its queue.
pub struct Terminal {
    /// Our side.
    keyboard: File,
    /// The program's side.
    inside: OwnedFd,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// One of 200 columns, so that no line is wrapped.
    pub fn new() -> Self {
        let (mut keyboard, mut inside) = (-1, -1);
        let size = libc::winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let none = std::ptr::null_mut();
        // SAFETY: the pointers to the two descriptors and to the size are valid for the call; null stands for "as usual".
        #[allow(unsafe_code)]
        let result = unsafe { libc::openpty(&raw mut keyboard, &raw mut inside, none, none.cast(), &raw const size) };
        assert_eq!(result, 0, "a terminal: {}", io::Error::last_os_error());
        // SAFETY: the call has made both, and nobody else has them.
        #[allow(unsafe_code)]
        let (keyboard, inside) = unsafe { (File::from_raw_fd(keyboard), OwnedFd::from_raw_fd(inside)) };
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut screen, text) = (keyboard.try_clone().expect("duplicate it"), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends in an error when the last program has closed its side.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                text.lock().expect("the screen").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { keyboard, inside, shown }
    }

    /// Types this.
    #[track_caller]
    pub fn types(&self, text: &str) {
        (&self.keyboard).write_all(text.as_bytes()).expect("type");
    }

    /// Runs a program with this as its controlling terminal.
    #[track_caller]
    pub fn run(self, command: &mut Command) -> OnTerminal {
        let side = || Stdio::from(self.inside.try_clone().expect("duplicate it"));
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm");
        let take_terminal = || {
            // SAFETY: both take integers only, and may be called between fork and exec (signal-safety(7)).
            #[allow(unsafe_code)]
            match unsafe { libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 } {
                true => Ok(()),
                false => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure allocates nothing and takes no lock.
        #[allow(unsafe_code)]
        let child = unsafe { command.pre_exec(take_terminal) }.spawn().expect("start it");
        OnTerminal { child, terminal: self }
    }
}

/// A program on a terminal; it is killed when this is dropped.
pub struct OnTerminal {
    child: Child,
    terminal: Terminal,
}

impl OnTerminal {
    /// Types this.
    #[track_caller]
    pub fn types(&self, text: &str) {
        self.terminal.types(text);
    }

    /// All that it has shown, with its control sequences.
    pub fn shown(&self) -> String {
        self.terminal.shown.lock().expect("the screen").clone()
    }

    /// Waits until it has shown this so many times.
    #[track_caller]
    pub fn wait_for(&self, text: &str, times: usize) {
        let is_there = holds_within(PATIENCE, || self.shown().matches(text).count() >= times);
        assert!(is_there, "{text:?} is not shown {times} times within {PATIENCE:?}: {:?}", self.shown());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(mut self) -> ExitStatus {
        let mut status = None;
        until(PATIENCE, "it ends", || {
            status = self.child.try_wait().expect("wait for it");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
