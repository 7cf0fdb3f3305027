//! Who may run beside whom. Every test that runs a balancer holds the lock shared; one that measures time or processor
//! use, or floods the machine, holds it alone. The lock is a file, so that it also holds between test programs.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// The right to run, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    file: Option<File>,
    alone: bool,
}

/// Waits until no other test runs, and keeps others from starting.
pub fn alone() -> Turn {
    let file = open();
    file.lock().expect("lock the file");
    ALONE.set(true);
    Turn { file: Some(file), alone: true }
}

/// Waits until no test needs to be alone. A test that is alone already waits for nothing.
pub fn beside_others() -> Turn {
    if ALONE.get() {
        return Turn { file: None, alone: false };
    }
    let file = open();
    file.lock_shared().expect("lock the file");
    Turn { file: Some(file), alone: false }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.alone {
            ALONE.set(false);
        }
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

fn open() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("turn.lock");
    File::options().create(true).truncate(false).write(true).open(path).expect("open the lock file")
}
