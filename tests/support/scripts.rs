//! What hosts do with a connection.

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::churn;
use super::host::{Script, Visit};
use super::pattern::Pattern;
use super::socket::wait_until_acknowledged;
use super::wait::PATIENCE;

/// Any function as a script.
pub fn script(serve: impl Fn(&Visit) + Send + Sync + 'static) -> Script {
    Arc::new(serve)
}

/// Sends back what comes, then ends.
pub fn echo() -> Script {
    script(|visit| {
        visit.receive(|piece| {
            visit.send(piece);
        });
    })
}

/// Sends its name and a line feed first, then echoes.
pub fn greet() -> Script {
    script(|visit| {
        visit.send(format!("{}\n", visit.name).as_bytes());
        visit.receive(|piece| {
            visit.send(piece);
        });
    })
}

/// Sends its name and ends.
pub fn tell_name() -> Script {
    script(|visit| {
        visit.send(visit.name.as_bytes());
    })
}

/// Waits for the end of an HTTP request's head and answers with its name.
pub fn http_name() -> Script {
    script(|visit| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if !visit.read_exact(&mut byte) {
                return;
            }
            head.push(byte[0]);
        }
        let (name, length) = (&visit.name, visit.name.len());
        visit.send(format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{name}").as_bytes());
        visit.keep(head);
    })
}

/// Reads to the end and keeps the text.
pub fn collect() -> Script {
    script(|visit| {
        let mut text = Vec::new();
        visit.receive(|piece| text.extend_from_slice(piece));
        visit.keep(text);
    })
}

/// Reads to the end and compares every byte with the seed's pattern.
pub fn sink(seed: u64) -> Script {
    script(move |visit| {
        visit.receive_pattern(Pattern::new(seed));
    })
}

/// Sends so many bytes of the seed's pattern and ends.
pub fn source(seed: u64, count: u64) -> Script {
    script(move |visit| {
        visit.send_pattern(Pattern::new(seed), count);
    })
}

/// Reads one seed's pattern to the end, then sends another's and ends.
pub fn sink_then_source(sink: u64, source: (u64, u64)) -> Script {
    script(move |visit| {
        visit.receive_pattern(Pattern::new(sink));
        visit.send_pattern(Pattern::new(source.0), source.1);
    })
}

/// Sends one seed's pattern, ends its sending, then reads another's to the end.
pub fn source_then_sink(source: (u64, u64), sink: u64) -> Script {
    script(move |visit| {
        visit.send_pattern(Pattern::new(source.0), source.1);
        visit.finish_sending();
        visit.receive_pattern(Pattern::new(sink));
    })
}

/// Sends one seed's pattern and reads another's at the same time.
pub fn exchange(source: (u64, u64), sink: u64) -> Script {
    script(move |visit| {
        thread::scope(|scope| {
            scope.spawn(|| {
                visit.send_pattern(Pattern::new(source.0), source.1);
                visit.finish_sending();
            });
            visit.receive_pattern(Pattern::new(sink));
        });
    })
}

/// Reads slowly, `piece` bytes at a time with a pause, to the end, comparing every byte with the seed's pattern.
pub fn slow_sink(seed: u64, piece: usize, pause: Duration) -> Script {
    script(move |visit| {
        let mut pattern = Pattern::new(seed);
        let mut buffer = vec![0; piece];
        while let Ok(count @ 1..) = (&*visit.stream).read(&mut buffer) {
            assert_eq!(pattern.check(&buffer[..count]), Ok(()), "a byte differs");
            thread::sleep(pause);
        }
    })
}

/// Sends so many bytes of the seed's pattern, waits until they have arrived, and resets.
pub fn source_then_reset(seed: u64, count: u64) -> Script {
    script(move |visit| {
        visit.send_pattern(Pattern::new(seed), count);
        wait_until_acknowledged(&visit.stream, PATIENCE);
        visit.reset();
    })
}

/// Reads `count` bytes, then resets.
pub fn read_then_reset(count: usize) -> Script {
    script(move |visit| {
        visit.read_exact(&mut vec![0; count]);
        visit.reset();
    })
}

/// Closes at once.
pub fn close_at_once() -> Script {
    script(|_| ())
}

/// Resets at once.
pub fn reset_at_once() -> Script {
    script(Visit::reset)
}

/// Never sends; reads to the end.
pub fn listen_only() -> Script {
    script(|visit| {
        visit.receive(|_| ());
    })
}

/// Never sends and never reads, until the host is stopped.
pub fn freeze() -> Script {
    script(|visit| {
        let deadline = Instant::now() + PATIENCE * 60;
        while !visit.is_stopping() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    })
}

/// Ends its sending at once, then says nothing and reads to the end.
pub fn finish_at_once() -> Script {
    script(|visit| {
        visit.finish_sending();
        visit.receive(|_| ());
    })
}

/// Serves the churn generator's clients and counts their ids.
pub fn churn() -> Script {
    script(churn::serve)
}
