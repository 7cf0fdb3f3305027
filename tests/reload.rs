//! The configuration is read again, and the process ends, while clients are being served.

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use support::scratch::Scratch;
use support::wait::{StopAtEnd, ms};
use support::{
    Churn, Client, Config, Director, End, Host, Netns, PATIENCE, Service, figure, lock, scripts, sized, until,
};

use director::model::rng::Rng;

mod support;

#[test]
fn reloads_under_load_cost_no_client() {
    let _alone = lock::alone();
    let reloads = sized(30, 300);
    let hosts = ["a", "b", "c"].map(|name| Host::plan(name, scripts::churn()).workers(4).start());
    let director = Director::plan(shape(&hosts, 0)).log_lines_max(reloads * 8 + 50).start();
    let stop = AtomicBool::new(false);
    let tally = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| Churn::new(director.addr(), u64::MAX, 8).run_until(&stop));
        for number in 1..=reloads {
            director.write_config(shape(&hosts, number));
            let line = director.reload();
            assert!(line.contains("reloaded"), "{line}");
            thread::sleep(Duration::from_millis(sized(50, 200)));
        }
        stop.store(true, Relaxed);
        load.join().unwrap()
    });
    let rate = tally.total() as f64 / tally.elapsed.as_secs_f64();
    figure(&format!("during {reloads} reloads, at {rate:.0} connections a second"), &tally);
    assert_eq!(tally.failed(), 0, "{tally}");
    let served: usize = hosts.iter().map(|host| host.record().ids().len()).sum();
    assert_eq!(served as u64, tally.ok);
    director.finish();
}

#[test]
fn reloads_that_change_hosts_services_and_listeners_under_load_cost_no_client() {
    let _alone = lock::alone();
    let reloads = sized(40, 500);
    let netns = Netns::new();
    let plan = |name| netns.run(|| Host::plan(name, scripts::churn()).workers(4).start());
    let hosts = ["a", "b", "c"].map(plan);
    let (fixed, wandering) = ("127.0.0.1:8000", "127.0.0.1:8001");
    // The second listener goes to and fro between two services, and a third service comes and goes.
    let config = |number: usize| {
        let (first, second) = (shape(&hosts, number), shape(&hosts, number + 1).named("t"));
        let config = if number.is_multiple_of(2) {
            Config::new(first.listen(fixed).listen(wandering)).and(second.listen("127.0.0.1:8002"))
        } else {
            Config::new(first.listen(fixed)).and(second.listen(wandering))
        };
        let extra = || shape(&hosts, number).named("extra").listen("127.0.0.1:8003");
        if number % 3 == 1 { config.and(extra()) } else { config }
    };
    let director = Director::plan(config(0)).inside(&netns).log_lines_max(reloads * 16 + 50).start();
    let stop = AtomicBool::new(false);
    let tallies = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = |addr: &str, tag| {
            let (addr, stop, netns) = (addr.parse().expect("an address"), &stop, &netns);
            scope.spawn(move || netns.run(|| Churn::new(addr, u64::MAX, 4).tag(tag).run_until(stop)))
        };
        let loads = [load(fixed, 1), load(wandering, 2)];
        for number in 1..=reloads {
            director.write_config(config(number));
            let line = director.reload();
            assert!(line.contains("reloaded"), "{line}");
            thread::sleep(Duration::from_millis(sized(20, 50)));
        }
        stop.store(true, Relaxed);
        loads.map(|load| load.join().unwrap())
    });
    director.write_config(config(0));
    director.reload();
    for (tally, what) in tallies.iter().zip(["that stays", "that goes to another service"]) {
        figure(&format!("during {reloads} reloads, at a listener {what}"), tally);
        assert_eq!(tally.failed(), 0, "{tally}");
    }
    director.finish();
}

#[test]
fn long_connections_do_not_notice_reloads() {
    let _alone = lock::alone();
    let pingers = sized(100, 1000);
    let hosts = ["a", "b", "c"].map(|name| Host::serve(name, scripts::echo()));
    let director = Director::plan(shape(&hosts, 0)).log_lines_max(500).start();
    let stop = AtomicBool::new(false);
    let ended: Vec<Result<Duration, io::Error>> = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let clients: Vec<_> = (0..pingers)
            .map(|_| {
                let client = Client::connect(director.addr());
                let stop = &stop;
                scope.spawn(move || ping(&client, stop))
            })
            .collect();
        for number in 1..=10 {
            thread::sleep(Duration::from_millis(100));
            director.write_config(shape(&hosts, number));
            assert!(director.reload().contains("reloaded"));
        }
        thread::sleep(Duration::from_millis(100));
        stop.store(true, Relaxed);
        clients.into_iter().map(|client| client.join().expect("a pinger does not panic")).collect()
    });
    let cut: Vec<&io::Error> = ended.iter().filter_map(|end| end.as_ref().err()).collect();
    let worst = ended.iter().filter_map(|end| end.as_ref().ok()).max().copied().unwrap_or_default();
    figure(&format!("of {pingers} connections across 10 reloads were cut"), cut.len());
    figure("longest round trip of the others, ms", ms(worst));
    assert!(cut.is_empty(), "{cut:?}; {:#?}", director.counters());
    assert!(worst < support::wait::allowed(Duration::from_millis(200)), "{worst:?}");
    director.finish();
}

#[test]
fn broken_configuration_changes_nothing_and_its_line_is_named() {
    let _alone = lock::alone();
    let hosts = ["a", "b", "c"].map(|name| Host::plan(name, scripts::churn()).workers(4).start());
    let good = Config::from(shape(&hosts, 0)).xml();
    let director = Director::plan_text(&good).log_lines_max(sized(500, 10_000)).start();
    let stop = AtomicBool::new(false);
    let (tally, refused) = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let load = scope.spawn(|| Churn::new(director.addr(), u64::MAX, 4).per_second(400).run_until(&stop));
        let broken = broken(&good, sized(40, 1000));
        for text in &broken {
            director.write_config_text(text);
            let line = director.reload();
            let named = line.split("director.xml:").nth(1).and_then(|at| at.split(':').next()?.parse::<usize>().ok());
            assert!(line.contains("reload refused"), "{line}\n{text}");
            assert!(named.is_some_and(|named| (1..=text.lines().count() + 1).contains(&named)), "{line}\n{text}");
            thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Relaxed);
        (load.join().unwrap(), broken.len())
    });
    figure(&format!("while {refused} broken configurations were refused"), &tally);
    assert_eq!(tally.failed(), 0, "{tally}");
    director.write_config_text(&good);
    let line = director.reload();
    assert!(line.contains("nothing changed"), "{line}");
    director.finish();
}

#[test]
fn listeners_added_removed_and_moved_at_once_leave_the_others_alone() {
    let netns = Netns::new();
    let hosts = ["a", "b"].map(|name| netns.run(|| Host::serve(name, scripts::greet())));
    let service = |name: &str, host: usize, ports: &[u16]| {
        let service = Service::new(name).host(hosts[host].name(), hosts[host].addr());
        ports.iter().fold(service, |service, port| service.listen(format!("127.0.0.1:{port}")))
    };
    let before = Config::new(service("one", 0, &[8000, 8001, 8002])).and(service("two", 1, &[8003]));
    let after = Config::new(service("one", 0, &[8000, 8004])).and(service("two", 1, &[8003, 8002]));
    let director = Director::plan(before).inside(&netns).start();
    let connect = |port: u16| netns.run(|| Client::try_connect(SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE));
    let greeting = |client: &Client| String::from_utf8(client.read_exact(2)).unwrap();
    let held: Vec<Client> = [8000, 8001, 8002, 8003].map(|port| connect(port).expect("it listens")).into();
    let greetings: Vec<String> = held.iter().map(greeting).collect();
    assert_eq!(greetings, ["a\n", "a\n", "a\n", "b\n"]);
    director.write_config(after);
    let line = director.reload();
    figure("the reload", &line);
    let since = Instant::now();
    until(PATIENCE, "the removed listener refuses", || connect(8001).is_err());
    let refused = since.elapsed();
    figure("removed listener refuses after, ms", ms(refused));
    for (port, expected) in [(8000, "a\n"), (8004, "a\n"), (8002, "b\n"), (8003, "b\n")] {
        assert_eq!(greeting(&connect(port).expect("it listens")), expected, "{port}");
    }
    for client in &held {
        client.send(b"x");
        assert_eq!(client.read_exact(1), b"x", "a connection was cut");
    }
    assert!(refused < support::wait::allowed(Duration::from_millis(100)), "{refused:?}");
    drop(held);
    director.finish();
}

#[test]
fn connections_left_at_the_drain_timeout_are_cut_and_counted() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::greet());
    let mut director = Director::plan(Service::with(&[&host])).args(&["--drain-timeout", "1500ms"]).start();
    let clients: Vec<Client> = (0..100).map(|_| Client::connect(director.addr())).collect();
    clients.iter().for_each(|client| drop(client.read_exact(2)));
    let addr = director.addr();
    let refuses = thread::spawn(move || {
        let since = Instant::now();
        until(PATIENCE, "it does not listen any more", || Client::try_connect(addr, PATIENCE).is_err());
        since.elapsed()
    });
    let took = director.stop(PATIENCE);
    let late = took.abs_diff(Duration::from_millis(1500));
    let cut = clients.iter().filter(|client| client.read_to_end(PATIENCE).1 == End::Reset).count();
    let told = director.wait_for_log(&["stopped: 100 connections cut"], PATIENCE);
    figure("drain timeout of 1.5 s missed by, ms", ms(late));
    figure("connections reset at its end", format!("{cut} of 100: {told}"));
    let refused = refuses.join().unwrap();
    figure("new clients refused after, ms", ms(refused));
    assert_eq!(cut, 100);
    assert!(
        refused < support::wait::allowed(Duration::from_millis(500)),
        "clients are let in while it drains: {refused:?}"
    );
    assert!(late < support::wait::allowed(Duration::from_millis(100)), "{late:?}");
}

#[test]
fn balancer_ends_as_soon_as_its_last_connection_has() {
    let _alone = lock::alone();
    let host = Host::serve("a", scripts::greet());
    for clients in [0, 10] {
        let mut director = Director::start(&[&host]);
        let clients: Vec<Client> = (0..clients).map(|_| Client::connect(director.addr())).collect();
        clients.iter().for_each(|client| drop(client.read_exact(2)));
        director.process().signal(libc::SIGTERM);
        director.wait_for_log(&["draining"], PATIENCE);
        for client in &clients {
            client.send(b"x");
            assert_eq!(client.read_exact(1), b"x", "cut while draining");
            client.finish_sending();
            assert_eq!(client.read_to_end(PATIENCE).1, End::Eof);
        }
        let (since, count) = (Instant::now(), clients.len());
        drop(clients);
        assert_eq!(director.wait_for_exit(PATIENCE).code(), Some(0));
        figure(&format!("ended after the last of {count} connections, ms"), ms(since.elapsed()));
        assert!(since.elapsed() < support::wait::allowed(Duration::from_millis(500)), "{:?}", since.elapsed());
        director.wait_for_log(&["stopped: 0 connections cut"], PATIENCE);
    }
}

#[test]
fn renamed_log_file_is_opened_anew_and_a_reload_moves_the_log() {
    let host = Host::serve("a", scripts::tell_name());
    let director = Director::start(&[&host]);
    let directory = Scratch::new();
    let (file, old) = (directory.path("director.log"), directory.path("director.log.1"));
    let quiet = Config::from(Service::with(&[&host])).xml();
    let logging = format!(r#"<logging file="{}"/></director>"#, file.display());
    let says = |path, text: &str| fs::read_to_string(path).is_ok_and(|log: String| log.contains(text));
    director.write_config_text(&quiet.replace("</director>", &logging));
    director.process().signal(libc::SIGHUP);
    until(PATIENCE, "the log is written to the file", || file.exists());
    director.process().signal(libc::SIGUSR1);
    until(PATIENCE, "counters are in the file", || says(&file, "counters reactor=1"));
    fs::rename(&file, &old).expect("rename the log");
    director.process().signal(libc::SIGHUP);
    until(PATIENCE, "a new file is there and written", || says(&file, "nothing changed"));
    let lines = |path| fs::read_to_string(path).expect("a log").lines().count();
    figure("lines in the renamed log and in the new one", format!("{} and {}", lines(&old), lines(&file)));
    let told = fs::read_to_string(&old).expect("a log").matches("nothing changed").count();
    assert_eq!(told, 1, "only of the reload that moved the log here");
    assert_eq!(Client::connect(director.addr()).read_text().0, "a");
    director.write_config_text(&quiet);
    director.process().signal(libc::SIGHUP);
    until(PATIENCE, "the log is at its first place again", || {
        director.process().signal(libc::SIGUSR1);
        director.log().lines().last().is_some_and(|line| line.contains("counters reactor="))
    });
    director.finish();
}

/// One of several configurations of one service on one address, so that each reload has something to change.
fn shape(hosts: &[Host; 3], number: usize) -> Service {
    let chosen: Vec<&Host> = match number % 4 {
        0 => hosts.iter().collect(),
        1 => vec![&hosts[0], &hosts[1]],
        2 => vec![&hosts[2], &hosts[0]],
        _ => vec![&hosts[1]],
    };
    let scheduler = ["roundrobin", "leastconns", "p2c"][number % 3];
    Service::with(&chosen).scheduler(scheduler).set("idle-timeout", format!("{}s", 60 + number % 2))
}

/// So many texts that are no valid configuration, each made of a good one.
fn broken(good: &str, count: usize) -> Vec<String> {
    let mut rng = Rng::new(7);
    let mut random = |below: usize| usize::try_from(rng.below(below as u64)).expect("below a length");
    let cut_short = (0..count).map(|number| match number % 4 {
        0 => good[..random(good.trim_end().len() - 1)].to_owned(),
        1 => good.replacen("scheduler", "sheduler", 1),
        2 => {
            let places: Vec<usize> = good.match_indices('"').map(|(at, _)| at).collect();
            let at = places[random(places.len())];
            format!("{}{}", &good[..at], &good[at + 1..])
        }
        _ => {
            let port = good.match_indices(r#"ip=""#).nth(1 + random(3)).expect("hosts").0;
            format!("{}ip=\"127.0.0.1:7{}0000\" {}", &good[..port], random(10), &good[port..])
        }
    });
    cut_short.collect()
}

/// Sends a byte and waits for it to come back, again and again; returns the longest time that took.
fn ping(client: &Client, stop: &AtomicBool) -> io::Result<Duration> {
    let (mut stream, mut worst) = (client.stream(), Duration::ZERO);
    stream.set_read_timeout(Some(PATIENCE))?;
    while !stop.load(Relaxed) {
        let since = Instant::now();
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        worst = worst.max(since.elapsed());
        thread::sleep(sized(Duration::from_millis(5), Duration::from_millis(100)));
    }
    Ok(worst)
}
