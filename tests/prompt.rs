//! The prompt of `directorctl` on a terminal.

use support::control::directorctl;
use support::terminal::OnTerminal;
use support::{Site, Terminal};

mod support;

const IDLE: &str = "<service name='s'><listen ip='127.0.0.1:0'/><group name='g'>
    <host name='a' ip='127.0.0.1:1'/><host name='other' ip='127.0.0.1:2'/></group></service>";
const PROMPT: &str = "director> ";

/// A prompt on a terminal; its history is the test's own.
fn prompt(site: &Site, terminal: Terminal) -> OnTerminal {
    let mut command = directorctl();
    command.arg("-s").arg(site.socket()).arg("--color").arg("never");
    terminal.run(command.env("XDG_STATE_HOME", site.folder.path("history")))
}

#[test]
fn control_d_ends_it_whenever_it_is_typed() {
    let site = Site::start(IDLE);
    let at_prompt = prompt(&site, Terminal::new());
    at_prompt.wait_for(PROMPT, 1);
    at_prompt.types("\x04");
    assert_eq!(at_prompt.ends().code(), Some(0));
    // Before there is a prompt: the terminal is not the editor's yet.
    let early = Terminal::new();
    early.types("\x04");
    assert_eq!(prompt(&site, early).ends().code(), Some(0));
    // While a command is done: its answer is there, and the prompt may be or not.
    for weight in 3..9 {
        let busy = prompt(&site, Terminal::new());
        busy.wait_for(PROMPT, 1);
        busy.types(&format!("weight a {weight}\r"));
        busy.wait_for(&format!("host s/g/a: weight={weight}"), 1);
        busy.types("\x04");
        assert_eq!(busy.ends().code(), Some(0));
    }
    site.director.finish();
}

#[test]
fn control_d_within_a_line_ends_nothing_and_control_c_drops_the_line() {
    let site = Site::start(IDLE);
    let on = prompt(&site, Terminal::new());
    on.wait_for(PROMPT, 1);
    on.types("weight a 4\x04\r");
    on.wait_for("host s/g/a: weight=4", 1);
    // Between two prompts the terminal is as it was, and there a Control-C ends the program.
    on.wait_for(PROMPT, 2);
    on.types("down a\x03");
    on.wait_for(PROMPT, 3);
    on.types("weight a 5\r");
    on.wait_for("host s/g/a: weight=5", 1);
    assert!(!on.shown().contains("state=down"), "{:?}", on.shown());
    on.types("quit\r");
    assert_eq!(on.ends().code(), Some(0));
    site.director.finish();
}

#[test]
fn names_are_completed_and_earlier_lines_come_back() {
    let site = Site::start(IDLE);
    let on = prompt(&site, Terminal::new());
    on.wait_for(PROMPT, 1);
    on.types("wei\ts/g/o\t6\r");
    on.wait_for("host s/g/other: weight=6", 1);
    on.wait_for(PROMPT, 2);
    on.types("down a\r");
    on.wait_for("state=down", 1);
    on.types("quit\r");
    assert_eq!(on.ends().code(), Some(0));
    // Of another prompt, too.
    let next = prompt(&site, Terminal::new());
    next.wait_for(PROMPT, 1);
    next.types("\x1b[A\x1b[A\x1b[A");
    next.wait_for("weight s/g/other 6", 1);
    next.types("\x7f7\r");
    next.wait_for("host s/g/other: weight=7", 1);
    next.types("exit\r");
    assert_eq!(next.ends().code(), Some(0));
    site.director.finish();
}
