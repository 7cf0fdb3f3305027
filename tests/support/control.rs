//! The balancer as operators see it: through `directorctl`, or by speaking to the control socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::director::{Director, Start};
use super::scratch::Scratch;
use super::wait::PATIENCE;

/// A balancer with a control socket.
pub struct Site {
    pub director: Director,
    socket: PathBuf,
    // Dropped last.
    pub folder: Scratch,
}

impl Site {
    /// Starts it with these elements beside `<control>`.
    #[track_caller]
    pub fn start(elements: &str) -> Self {
        Self::start_with(elements, |start| start)
    }

    /// The same, started in another way.
    #[track_caller]
    pub fn start_with<'a>(elements: &str, change: impl FnOnce(Start<'a>) -> Start<'a>) -> Self {
        let folder = Scratch::new();
        let socket = folder.path("control.sock");
        let director = change(Self::plan(&socket, "", elements)).start();
        Self { director, socket, folder }
    }

    /// A balancer with a control socket there, not started yet; `attributes` are more of `<control>`.
    pub fn plan<'a>(socket: &Path, attributes: &str, elements: &str) -> Start<'a> {
        Director::plan_text(&Self::config(socket, attributes, elements))
    }

    /// Its configuration.
    pub fn config(socket: &Path, attributes: &str, elements: &str) -> String {
        let socket = socket.display();
        format!("<director>\n{elements}\n<control socket=\"{socket}\" {attributes}/>\n</director>\n")
    }

    /// The text of its configuration with other elements.
    pub fn with(&self, elements: &str) -> String {
        Self::config(&self.socket, "", elements)
    }

    /// Where the socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Connects to the socket.
    #[track_caller]
    pub fn wire(&self) -> Wire {
        Wire::connect(&self.socket)
    }

    /// Runs `directorctl` with these arguments.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Ctl {
        self.ctl_with(args, "")
    }

    /// Runs `directorctl` with this on its standard input.
    #[track_caller]
    pub fn ctl_with(&self, args: &[&str], input: &str) -> Ctl {
        let mut child = self.ctl_start(args);
        child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).expect("write to directorctl");
        child.wait_with_output().expect("wait for directorctl").into()
    }

    /// Starts `directorctl`, with its standard streams in pipes.
    #[track_caller]
    pub fn ctl_start(&self, args: &[&str]) -> Child {
        let mut command = directorctl();
        command.arg("-s").arg(&self.socket).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("start directorctl")
    }

    /// What `directorctl --json` printed; it has to end well.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        let told = self.ctl(&all);
        assert_eq!(told.code, Some(0), "{args:?}: {told:?}");
        serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", told.out))
    }
}

/// `directorctl` of this build, out of reach of the environment.
pub fn directorctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_directorctl"));
    for name in ["DIRECTOR_SOCKET", "SSH_ORIGINAL_COMMAND", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// What a program said, and how it ended.
#[derive(Clone, Debug)]
pub struct Ctl {
    /// Exit code; none: a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ctl {
    /// Its output, if it ended with 0.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// What it complained about, if it ended with this code.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.err.is_empty(), "{self:?}");
        self.err
    }
}

impl From<Output> for Ctl {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// A connection to the control socket.
pub struct Wire {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Wire {
    #[track_caller]
    pub fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("connect to the control socket");
        stream.set_read_timeout(Some(PATIENCE * 2)).expect("set the read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("set the write timeout");
        Self { stream, input: Vec::new() }
    }

    pub const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("write to the control socket");
    }

    /// Sends nothing any more.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("half close");
    }

    /// The next line; none at the end.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=at).collect();
                return Some(String::from_utf8(line).expect("UTF-8").trim_end().to_owned());
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.input.is_empty(), "the end within a line: {:?}", String::from_utf8_lossy(&self.input));
                    return None;
                }
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no line: {error}"),
            }
        }
    }

    /// The lines of an answer, or what was refused: `ERR kind why`.
    ///
    /// # Errors
    /// The refusal.
    #[track_caller]
    pub fn answer(&mut self) -> Result<Vec<String>, String> {
        let first = self.line().expect("an answer");
        let Some(count) = first.strip_prefix("OK ") else { return Err(first) };
        let count: usize = count.parse().unwrap_or_else(|_| panic!("{first:?}"));
        Ok((0..count).map(|_| self.line().expect("a line of the answer")).collect())
    }

    /// Says a line and reads the answer.
    ///
    /// # Errors
    /// The refusal.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> Result<Vec<String>, String> {
        self.send(format!("{line}\n").as_bytes());
        self.answer()
    }

    /// Says a line with a block behind it, and reads the answer.
    ///
    /// # Errors
    /// The refusal.
    #[track_caller]
    pub fn ask_block(&mut self, line: &str, block: &str) -> Result<Vec<String>, String> {
        self.send(format!("{line} <{}\n{block}", block.len()).as_bytes());
        self.answer()
    }

    /// Says a line and reads a document.
    #[track_caller]
    pub fn document(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        let told = self.line().expect("a document");
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{line}: {error}: {told}"))
    }
}
