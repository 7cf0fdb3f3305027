use super::*;
use crate::model::id::ReactorId;
use crate::model::outcome::CloseReason;

#[test]
fn failed_host_is_published_down_and_told_in_one_line() {
    let mut world = World::new(&web(&[1, 2]));
    world.now = world.now.after(12_300 * MILLI);
    world.fail(1);
    assert_eq!((world.status(1), world.status(2)), (HostStatus::Down, HostStatus::Up));
    assert_eq!(
        world.lines("state "),
        ["state service=web group=g host=h1 addr=10.0.0.1:1 old=up new=down why=\"connection refused\" for=12.3s"]
    );
    world.fail(1);
    assert_eq!(world.lines("state ").len(), 1, "only changes are told");
}

#[test]
fn probe_that_answers_takes_the_host_back_with_its_suspicion_and_connect_time() {
    let mut world = World::new(&web(&[1, 2]));
    let counters = Arc::clone(&world.spec("web").hosts[0].counters);
    counters.suspect(world.now, world.now.after(60 * SECOND));
    world.fail(1);
    world.pass(2 * SECOND);
    world.answer(Ok(7 * MILLI));
    assert_eq!(world.status(1), HostStatus::Up);
    assert!(!counters.is_suspected(world.now));
    assert_eq!(counters.connect_time(), 7 * MILLI);
    let line = "old=down new=up why=\"probe answered\" for=2.0s";
    assert_eq!(world.lines(line).len(), 1, "{:?}", world.lines("state"));
}

#[test]
fn generation_grows_by_one_with_each_publication_and_only_then() {
    let mut world = World::new(&web(&[1, 2]));
    assert_eq!(world.spec("web").generation, 1);
    world.fail(1);
    assert_eq!(world.spec("web").generation, 2);
    world.fail(1);
    world.slow(2);
    world.answer(Ok(MILLI));
    assert_eq!(world.spec("web").generation, 2, "nothing that reactors see has changed");
    world.pass_answering(3 * SECOND, |_, _| Ok(MILLI));
    assert_eq!(world.spec("web").generation, 3);
}

#[test]
fn slow_host_is_probed_at_once_and_judged_by_the_probe() {
    let mut world = World::new(&web(&[1, 2]));
    let counters = Arc::clone(&world.spec("web").hosts[0].counters);
    counters.suspect(world.now, world.now.after(60 * SECOND));
    world.slow(1);
    world.answer(Ok(400 * MILLI));
    assert_eq!(world.status(1), HostStatus::Up);
    assert!(!counters.is_suspected(world.now), "it answers, so clients go there again");
    world.now = world.now.after(SECOND);
    world.slow(1);
    world.slow(1);
    world.answer(Err(Blame::Host(Fault::TimedOut)));
    assert_eq!(world.status(1), HostStatus::Down);
    assert_eq!(world.lines("why=\"probe: no answer in time\"").len(), 1);
}

#[test]
fn suspected_host_that_answered_a_client_is_probed_and_cleared() {
    let mut world = World::new(&web(&[1, 2]));
    let counters = Arc::clone(&world.spec("web").hosts[0].counters);
    counters.suspect(world.now, world.now.after(60 * SECOND));
    world.answered(1);
    world.answer(Ok(MILLI));
    assert!(!counters.is_suspected(world.now));
}

#[test]
fn probes_that_fail_for_local_reasons_never_eject() {
    let mut config = web(&[1, 2, 3]);
    config.manager.heartbeat = Some(SECOND);
    let mut world = World::new(&config);
    let mut probes = 0;
    world.pass_answering(600 * SECOND, |_, _| {
        probes += 1;
        OUT_OF_FILES
    });
    assert!((1_000..=2_000).contains(&probes), "{probes}");
    assert!(world.lines("state ").is_empty());
    assert_eq!(world.spec("web").generation, 1);
}

#[test]
fn heartbeats_reach_every_serving_host_spread_over_the_interval() {
    let mut config = web(&[1, 2, 3, 4, 5]);
    config.services[0].groups.push(group("spare", &[6]));
    config.manager.heartbeat = Some(5 * SECOND);
    let mut world = World::new(&config);
    let mut seen: Vec<(Moment, u16)> = Vec::new();
    world.pass_answering(5 * SECOND - MILLI, |now, to| {
        seen.push((now, to.port()));
        Ok(MILLI)
    });
    let mut ports: Vec<u16> = seen.iter().map(|(_, port)| *port).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 2, 3, 4, 5], "each serving host once, the spare one never");
    let nearest = seen.windows(2).map(|pair| pair[1].0.since(pair[0].0)).min().unwrap();
    assert!(nearest >= 500 * MILLI, "{seen:?}");
}

#[test]
fn clients_lost_are_told_once_a_second_with_the_number_of_the_others() {
    let mut world = World::new(&web(&[1]));
    let (service, _) = world.find(1);
    for n in 1..=100 {
        world.report(Report::ClientLost { service, client: addr(n), reason: CloseReason::NoHost });
    }
    assert_eq!(world.lines("lost "), ["lost service=web client=10.0.0.1:1 why=no-host suppressed=0"]);
    world.pass(SECOND);
    assert_eq!(world.lines("lost ")[1..], ["lost service=web client=10.0.0.1:100 why=no-host suppressed=98"]);
    world.pass(10 * SECOND);
    assert_eq!(world.lines("lost ").len(), 2);
}

#[test]
fn pauses_of_accepting_are_told_once_a_second_over_all_reactors() {
    let mut world = World::new(&web(&[1]));
    for n in 0..50 {
        let errno = (n != 0).then_some(libc::EMFILE);
        world.report(Report::AcceptPaused { reactor: ReactorId(n), errno });
    }
    world.pass(SECOND);
    let lines = world.lines("accepting paused");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "accepting paused reactor=0 why=\"at the connection limit\" suppressed=0");
    assert!(lines[1].contains("reactor=49 why=\"Too many open files") && lines[1].ends_with("suppressed=48"));
}

#[test]
fn restarted_reactor_is_told() {
    let mut world = World::new(&web(&[1]));
    world.report(Report::ReactorRestarted { reactor: ReactorId(1), lost: 17 });
    assert_eq!(world.lines("reactor"), ["reactor restarted reactor=1 lost=17"]);
}

#[test]
fn reports_on_what_is_gone_change_nothing() {
    let mut world = World::new(&web(&[1, 2]));
    let (service, host) = world.find(1);
    world.reload(&web(&[2]));
    let before = world.told.len();
    for report in [
        Report::HostFailed { service, host, fault: Fault::Refused },
        Report::HostSlow { service, host },
        Report::HostAnswered { service, host },
        Report::ClientLost { service: ServiceId(99), client: addr(9), reason: CloseReason::NoHost },
    ] {
        world.report(report);
    }
    world.event(Event::ProbeEnded { host, result: REFUSED });
    assert_eq!(world.told.len(), before);
    assert!(world.probes.is_empty());
}

#[test]
fn counters_are_told_with_all_their_keys() {
    let mut config = web(&[1]);
    config.services[0].groups[0].hosts.push(named("db", "db.example", 5432));
    let mut world = World::new(&config);
    world.fail(1);
    let lines = world.manager.counter_lines();
    assert_eq!(
        lines,
        [
            "counters service=web open=0 waiting=0 accepted=0 retries=0 uncounted=0 closed-finished=0 closed-client-reset=0 \
             closed-host-reset=0 closed-no-host=0 closed-connect-timeout=0 closed-queue-full=0 closed-idle=0 \
             closed-half-closed-idle=0 closed-local=0 closed-drained=0 closed-panicked=0 closed-killed=0 \
             closed-denied=0 closed-client-limit=0 closed-proxy-header=0 closed-recycled=0",
            "counters service=web group=g host=h1 addr=10.0.0.1:1 state=down weight=1 open=0 established=0 failed=0 \
             bytes-up=0 bytes-down=0 connect-us=0",
            "counters service=web group=g host=db addr=db.example:5432 state=down weight=1 open=0 established=0 \
             failed=0 bytes-up=0 bytes-down=0 connect-us=0",
        ]
    );
}
