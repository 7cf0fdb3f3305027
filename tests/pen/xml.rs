//! What a line means to Director, as it says itself: `director --from-pen LINE`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::line::Line;

/// What the line means, with a control socket there and probes that are quick enough for a test.
#[track_caller]
pub(crate) fn xml(line: &Line, socket: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_director"));
    let output = command.args(["--from-pen", &text(line, socket)]).stdin(Stdio::null()).output();
    let output = output.expect("run director");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let xml = String::from_utf8_lossy(&output.stdout);
    xml.replace("</director>", "  <manager><hostCheck interval='100ms'/></manager>\n</director>")
}

/// What the line means on Director's command line, beside the configuration.
pub(crate) fn arguments(line: &Line) -> Vec<String> {
    let named = |(option, value): (&str, &str)| {
        let name = match option {
            "-u" => "--user",
            "-j" => "--chroot",
            "-w" => "--status-file",
            _ => return None,
        };
        Some([name.to_owned(), value.to_owned()])
    };
    pairs(line).filter_map(named).flatten().collect()
}

fn pairs<'a>(line: &'a Line<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    line.options.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str()))
}

fn text(line: &Line, socket: &Path) -> String {
    let own = Line { pen_only: Vec::new(), ..line.clone() };
    let (before, after) = own.words();
    let quoted = before.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let listen = line.listen.map_or_else(|| "127.0.0.1:0".to_owned(), |addr| addr.to_string().replace(['[', ']'], ""));
    format!("pen -C {} {quoted} {listen} {}", socket.display(), after.join(" "))
}
