//! The control socket's file, and clients that are strangers, idle, or do not read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use director::model::limits::CONTROL_STALLED;

use support::control::directorctl;
use support::scratch::Scratch;
use support::wait::allowed;
use support::{Ctl, PATIENCE, Site, Wire, figure, until};

mod support;

const IDLE: &str = "<service name='s'><listen ip='127.0.0.1:0'/><group name='g'>
    <host name='a' ip='127.0.0.1:1'/></group></service>";

fn mode(path: &Path) -> u32 {
    let data = fs::symlink_metadata(path).expect("the socket's file");
    assert!(data.file_type().is_socket());
    data.mode() & 0o777
}

/// Runs a balancer that cannot have this socket, and returns what it says.
#[track_caller]
fn refused(socket: &Path) -> String {
    let (status, _, said) = Site::plan(socket, "", IDLE).run();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("the control socket {}", socket.display())), "{said}");
    said
}

#[test]
fn socket_is_for_its_owner_and_its_group_and_goes_with_the_balancer() {
    let folder = Scratch::new();
    let socket = folder.path("c.sock");
    // A wide umask makes it no wider.
    let wide = ["sh", "-c", "umask 0; exec \"$@\"", "sh"];
    let mut director = Site::plan(&socket, "", IDLE).through(&wide).start();
    assert_eq!(mode(&socket), 0o600);
    director.stop(PATIENCE);
    assert!(!socket.exists());
    let own = fs::metadata("/proc/self").unwrap().gid();
    let mut director = Site::plan(&socket, &format!("group=\"{own}\""), IDLE).through(&wide).start();
    assert_eq!((mode(&socket), fs::symlink_metadata(&socket).unwrap().gid()), (0o660, own));
    director.stop(PATIENCE);
    assert!(!socket.exists());
    let (status, _, said) = Site::plan(&socket, "group=\"no-such-group\"", IDLE).run();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("no-such-group"), "{said}");
}

#[test]
fn stale_socket_is_replaced_and_whatever_else_is_there_left_alone() {
    let folder = Scratch::new();
    let socket = folder.path("c.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let mut director = Site::plan(&socket, "", IDLE).start();
    assert!(Wire::connect(&socket).ask("status").is_ok());
    director.stop(PATIENCE);

    fs::write(&socket, "precious").unwrap();
    assert!(refused(&socket).contains("left alone"));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
    fs::remove_file(&socket).unwrap();

    let target = folder.path("target.sock");
    drop(UnixListener::bind(&target).unwrap());
    symlink(&target, &socket).unwrap();
    assert!(refused(&socket).contains("left alone"));
    assert!(fs::symlink_metadata(&socket).unwrap().is_symlink() && target.exists());
    assert!(refused(&folder.path("nowhere/c.sock")).contains("No such file"));
}

#[test]
fn second_balancer_on_a_live_socket_is_refused_and_the_first_goes_on() {
    let site = Site::start(IDLE);
    assert!(refused(site.socket()).contains("another process answers there"));
    assert!(site.wire().ask("status").is_ok());
}

#[test]
fn socket_of_a_killed_balancer_is_replaced_by_the_next_one() {
    let mut site = Site::start(IDLE);
    site.director.process().signal(libc::SIGKILL);
    site.director.wait_for_exit(PATIENCE);
    assert!(site.socket().exists());
    let _next = Site::plan(site.socket(), "", IDLE).start();
    assert!(site.wire().ask("status").is_ok());
}

#[test]
fn socket_follows_a_reloaded_configuration() {
    let site = Site::start(IDLE);
    let other = site.folder.path("other.sock");
    site.director.write_config_text(&Site::config(&other, "", IDLE));
    site.director.reload();
    until(PATIENCE, "the old socket is gone", || other.exists() && !site.socket().exists());
    assert!(Wire::connect(&other).ask("status").is_ok());
}

#[test]
fn peer_of_another_user_is_refused_even_if_the_file_lets_him_in() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: to be another user takes root");
        return;
    }
    let site = Site::start(IDLE);
    // The file's mode is not what protects it here.
    fs::set_permissions(site.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let as_nobody = |program: &OsStr| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program).stdin(Stdio::null());
        command
    };
    let program = directorctl();
    let reached = as_nobody("test".as_ref()).arg("-x").arg(program.get_program()).status();
    if !reached.is_ok_and(|status| status.success()) {
        println!("skipped: another user cannot reach this build's directory");
        return;
    }
    let mut command = as_nobody(program.get_program());
    command.arg("-s").arg(site.socket()).arg("status");
    let told = Ctl::from(command.output().expect("setpriv runs"));
    assert_ne!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("may not use this socket") && told.out.is_empty(), "{told:?}");
    assert_eq!(told.code, Some(1), "{told:?}");
    site.director.wait_for_log(&["control socket", "may not use this socket"], PATIENCE);
}

#[test]
fn client_that_does_not_read_is_dropped_and_others_are_served() {
    let site = Site::start(IDLE);
    let deaf = site.wire();
    deaf.stream().set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let begin = Instant::now();
    // Answers fill its buffer; then its questions are not taken any more either.
    while std::io::Write::write(&mut deaf.stream(), &b"help\n".repeat(1000)).is_ok() {}
    let mut wire = site.wire();
    let mut slowest = Duration::ZERO;
    let dropped = || site.director.log().count(support::log::Mark::default(), &["does not read was dropped"]) > 0;
    until(CONTROL_STALLED * 2 + PATIENCE, "it is dropped", || {
        let asked = Instant::now();
        wire.ask("status").unwrap();
        slowest = slowest.max(asked.elapsed());
        thread::sleep(Duration::from_millis(20));
        dropped()
    });
    figure("slowest answer beside a deaf client, ms", slowest.as_millis());
    assert!(begin.elapsed() >= CONTROL_STALLED && slowest < allowed(Duration::from_secs(1)), "{slowest:?}");
}

#[test]
fn idle_connections_cost_no_time_and_those_over_the_bound_are_refused() {
    let site = Site::start(IDLE);
    let mut idle: Vec<Wire> = (0..200).map(|_| site.wire()).collect();
    assert!(idle.iter_mut().all(|wire| wire.ask("text").is_ok()));
    let process = site.director.process();
    let before = process.cpu_time();
    thread::sleep(Duration::from_secs(1));
    let spent = process.cpu_time() - before;
    figure("processor time of a second with 200 idle clients, ms", spent.as_millis());
    assert!(spent < Duration::from_millis(50), "{spent:?}");
    let mut wire = site.wire();
    assert!(wire.ask("status").is_ok());
    let mut more: Vec<Wire> = (0..55).map(|_| site.wire()).collect();
    assert!(more.iter_mut().all(|wire| wire.ask("text").is_ok()));
    assert!(site.wire().line().unwrap().starts_with("ERR unavailable "));
    more.clear();
    until(PATIENCE, "there is room again", || site.wire().ask("status").is_ok());
    drop((idle, wire));
    site.director.finish();
}
