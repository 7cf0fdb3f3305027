//! The thread for what takes its time: hashing passwords, binding, reading certificates.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Sender, bounded};

use crate::model::limits::PASSWORDS_WAITING_MAX;

/// A piece of work. It posts what comes of it by itself.
type Job = Box<dyn FnOnce() + Send>;

/// The thread, with a queue of [`PASSWORDS_WAITING_MAX`] jobs. It ends when this is dropped, after the job in hand.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// There is no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, queue) = bounded::<Job>(PASSWORDS_WAITING_MAX);
        let work = move || {
            for job in queue {
                // Panics are logged by the process; who waits has a deadline.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        };
        let thread = Builder::new().name(String::from("admin-auth")).spawn(work)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has a job done. Returns whether there was room for it.
    pub(super) fn take(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(Box::new(job)).is_ok())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn full_queue_takes_no_more_and_a_panic_ends_only_its_job() {
        let worker = Worker::start().unwrap();
        let (started, starts) = channel();
        let (go, wait) = channel::<()>();
        let (done, results) = channel();
        assert!(worker.take(move || {
            started.send(()).unwrap();
            let _ = wait.recv();
            panic!("for the test");
        }));
        starts.recv_timeout(Duration::from_secs(10)).unwrap();
        for n in 0..PASSWORDS_WAITING_MAX {
            let done = done.clone();
            assert!(worker.take(move || done.send(n).unwrap()));
        }
        assert!(!worker.take(|| ()));
        drop(go);
        for n in 0..PASSWORDS_WAITING_MAX {
            assert_eq!(results.recv_timeout(Duration::from_secs(10)), Ok(n));
        }
    }
}
