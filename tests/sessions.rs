//! What can be seen of sessions while they last, and what can be done to them: bytes that show before a stream ends,
//! times, what each listener accepted, the list, and the cut.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use director::model::histogram::Histogram;
use director::model::outcome::CloseReason;
use director::model::service::ServiceSpec;
use director::model::session::{
    Answer, KillPage, KillRequest, KillTarget, SessionFilter, SessionInfo, SessionName, SessionPage, SessionQuery,
    SessionState,
};
use director::model::update::Update;
use director::sys::listener::listen;
use support::plane::{Plane, next, pair, played_host, service};
use support::wait::{allowed, ms};
use support::{PATIENCE, figure, lock, until};

mod support;

/// Within which bytes show that moved.
const SOON: Duration = Duration::from_secs(1);

/// Asks these reactors, and returns their answers, or that one ended before.
fn ask<T: Send + 'static>(
    plane: &Plane,
    reactors: &[usize],
    question: impl FnOnce(Answer<T>) -> Update,
) -> Result<Vec<T>, RecvTimeoutError> {
    let (sender, answers) = channel();
    let question = question(Answer::into_channel(sender));
    for reactor in reactors {
        plane.post(*reactor, question.clone());
    }
    drop(question);
    let pages = reactors.iter().map(|_| answers.recv_timeout(PATIENCE)).collect();
    assert_eq!(answers.recv_timeout(PATIENCE).err(), Some(RecvTimeoutError::Disconnected), "each answers once");
    pages
}

fn pages(plane: &Plane, reactors: &[usize], filter: SessionFilter, limit: usize) -> Vec<SessionPage> {
    let query = |answer| Update::Sessions(Arc::new(SessionQuery { filter, limit, answer }));
    ask(plane, reactors, query).expect("all answer")
}

/// The sessions of two reactors.
fn sessions(plane: &Plane, filter: SessionFilter) -> Vec<SessionInfo> {
    let pages = pages(plane, &[0, 1], filter, 100);
    assert!(pages.iter().all(|page| page.sessions.len() == page.total), "{pages:?}");
    pages.into_iter().flat_map(|page| page.sessions).collect()
}

/// Has the first reactor cut what it has of this.
fn kill(plane: &Plane, target: KillTarget) -> usize {
    let request = |answer| Update::Kill(Arc::new(KillRequest { target, answer }));
    ask(plane, &[0], request).expect("it answers").iter().map(|page: &KillPage| page.killed).sum()
}

/// Bytes up and down of all hosts.
fn told(spec: &ServiceSpec) -> (u64, u64) {
    let sum = |(up, down), counters: &director::model::counters::HostCounters| {
        (up + counters.bytes_up.load(Relaxed), down + counters.bytes_down.load(Relaxed))
    };
    spec.hosts.iter().map(|host| &*host.counters).fold((0, 0), sum)
}

fn is_reset(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// Both have said something to one another through the pair.
fn greet((client, at_host): &(TcpStream, TcpStream)) {
    for (mut from, mut to) in [(client, at_host), (at_host, client)] {
        from.write_all(b"hi").unwrap();
        to.read_exact(&mut [0; 2]).unwrap();
    }
}

#[test]
fn bytes_show_while_a_session_lasts_and_are_exact_when_it_has_ended() {
    const BULK: usize = (5 << 20) + 17;
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(1, |_| {});
    let (mut client, mut at_host) = pair(plane.listen(0, &spec), &host);
    client.write_all(b"few and then silence").unwrap();
    at_host.read_exact(&mut [0; 20]).unwrap();
    let began = Instant::now();
    until(allowed(SOON), "few bytes are told", || told(&spec) == (20, 0));
    figure("few bytes of a session that went silent show after, ms", ms(began.elapsed()));
    let reader = thread::spawn(move || {
        let mut received = vec![0; BULK];
        client.read_exact(&mut received).unwrap();
        (client, received)
    });
    at_host.write_all(&vec![7; BULK]).unwrap();
    let (client, received) = reader.join().unwrap();
    assert!(received.iter().all(|byte| *byte == 7));
    assert!(told(&spec).1 >= BULK as u64 - (1 << 20) - 300_000, "{:?} while it streams", told(&spec));
    until(allowed(SOON), "all of it is told", || told(&spec) == (20, BULK as u64));
    at_host.write_all(b"bye").unwrap();
    at_host.shutdown(Shutdown::Write).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    until(PATIENCE, "it has ended", || spec.counters.open.load(Relaxed) == 0);
    assert_eq!(told(&spec), (20, BULK as u64 + 3));
    plane.end();
}

#[test]
fn reactor_whose_sessions_are_silent_sleeps() {
    let _alone = lock::alone();
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(1, |_| {});
    let addr = plane.listen(0, &spec);
    let pairs: Vec<_> = (0..20).map(|_| pair(addr, &host)).collect();
    pairs.iter().for_each(greet);
    until(allowed(SOON), "all is told", || told(&spec) == (40, 40));
    let turns = plane.turns(0);
    thread::sleep(2 * SOON);
    assert!(plane.turns(0) <= turns + 1, "{} turns for nobody", plane.turns(0) - turns);
    plane.end();
}

#[test]
fn every_established_connection_has_its_times_and_every_listener_its_clients() {
    const CLIENTS: u64 = 30;
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(2, |_| {});
    let addrs = [plane.listen(0, &spec), plane.listen(1, &spec)];
    let began = Instant::now();
    let pairs: Vec<_> = (0..CLIENTS).map(|n| pair(addrs[usize::from(n % 3 == 0)], &host)).collect();
    let counters = &spec.hosts[0].counters;
    until(PATIENCE, "all are connected", || counters.established.load(Relaxed) == CLIENTS);
    thread::sleep(Duration::from_millis(20));
    drop(pairs);
    until(PATIENCE, "all have ended", || spec.counters.open.load(Relaxed) == 0);
    let totals = [counters.connect_times.total(), spec.counters.waits.total(), counters.lifetimes.total()];
    assert_eq!(totals, [CLIENTS; 3]);
    let most = began.elapsed() * u32::try_from(CLIENTS).unwrap();
    assert!(counters.connect_times.sum() <= spec.counters.waits.sum(), "to connect is a part of the wait");
    assert!(spec.counters.waits.sum() <= most && counters.lifetimes.sum() <= most);
    assert!(counters.lifetimes.sum() >= Duration::from_millis(20) * u32::try_from(CLIENTS).unwrap());
    assert_eq!(plane.listened.accepted.load(Relaxed), CLIENTS);
    assert_eq!(plane.listened.accept_errors.load(Relaxed), 0);
    plane.end();
}

#[test]
fn sessions_of_two_reactors_are_told_as_far_as_they_are_asked_for() {
    let (host, other, full) = (played_host(), played_host(), played_host());
    let (spec, second) = (service(0, &[(&host, None), (&other, None)]), service(1, &[(&full, Some(1))]));
    let plane = Plane::start(2, |_| {});
    let addrs = [plane.listen(0, &spec), plane.listen(1, &spec)];
    let full_addr = plane.listen(1, &second);
    let open: Vec<_> = [&host, &other].into_iter().map(|host| pair(addrs[0], host)).collect();
    open.iter().for_each(greet);
    let far = pair(full_addr, &full);
    greet(&far);
    far.0.shutdown(Shutdown::Write).unwrap();
    let waiting = TcpStream::connect(full_addr).unwrap();
    until(PATIENCE, "one waits, one has ended one side", || {
        let all = sessions(&plane, SessionFilter::default());
        [SessionState::Waiting, SessionState::HalfClosed].iter().all(|state| all.iter().any(|s| s.state == *state))
    });
    let all = sessions(&plane, SessionFilter::default());
    assert_eq!(all.len(), 4);
    let of = |client: &TcpStream| {
        let client_addr = Some(client.local_addr().unwrap().into());
        let mut found = sessions(&plane, SessionFilter { client_addr, ..SessionFilter::default() });
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    for ((client, at_host), host) in open.iter().zip(&spec.hosts) {
        let seen = of(client);
        assert_eq!((seen.state, seen.up, seen.down, seen.name.reactor), (SessionState::Open, 2, 2, 0));
        assert_eq!((seen.host, seen.host_addr), (Some(host.id), Some(host.addr)));
        assert_eq!((seen.local, seen.listen), (at_host.peer_addr().ok(), Some(addrs[0].into())));
        assert!(seen.idle <= seen.age && seen.age <= 2 * PATIENCE, "{seen:?}");
        let by_local = SessionFilter { local: seen.local, ..SessionFilter::default() };
        assert_eq!(sessions(&plane, by_local).iter().map(|s| s.name).collect::<Vec<_>>(), [seen.name]);
        let by_host = SessionFilter { host: seen.host, ..SessionFilter::default() };
        assert_eq!(sessions(&plane, by_host).len(), 1);
    }
    let seen = of(&waiting);
    assert_eq!((seen.state, seen.host, seen.local), (SessionState::Waiting, None, None));
    assert_eq!((seen.name.reactor, seen.service, seen.listen), (1, second.id, Some(full_addr.into())));
    let by_service = SessionFilter { service: Some(second.id), ..SessionFilter::default() };
    assert_eq!(sessions(&plane, by_service).len(), 2);
    let by_ip = |ip: &str| SessionFilter { client: Some(ip.parse().unwrap()), ..SessionFilter::default() };
    assert_eq!((sessions(&plane, by_ip("127.0.0.1")).len(), sessions(&plane, by_ip("127.0.0.2")).len()), (4, 0));
    let first = pages(&plane, &[0], SessionFilter::default(), 1);
    assert_eq!((first[0].sessions.len(), first[0].total), (1, 2), "no more than asked for, and all counted");
    plane.end();
}

#[test]
fn session_that_is_killed_is_reset_on_both_sides_and_its_name_means_nobody_after_that() {
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(2, |_| {});
    let addr = plane.listen(0, &spec);
    let (victim, neighbour) = (pair(addr, &host), pair(addr, &host));
    [&victim, &neighbour].into_iter().for_each(greet);
    let client_addr = Some(victim.0.local_addr().unwrap().into());
    let name = sessions(&plane, SessionFilter { client_addr, ..SessionFilter::default() })[0].name;
    let elsewhere = KillTarget::Session(SessionName { reactor: 1, ..name });
    let request = |answer: Answer<KillPage>| Update::Kill(Arc::new(KillRequest { target: elsewhere, answer }));
    assert_eq!(ask(&plane, &[0], request).err(), Some(RecvTimeoutError::Disconnected), "it is not meant");
    assert_eq!(kill(&plane, KillTarget::Session(name)), 1);
    assert!(is_reset(&victim.0) && is_reset(&victim.1));
    assert_eq!(spec.counters.closed(CloseReason::Killed), 1);
    assert!([(2, 2), (4, 4)].contains(&told(&spec)), "its bytes are told, its neighbour's soon: {:?}", told(&spec));
    let heir = pair(addr, &host);
    greet(&heir);
    assert_eq!(kill(&plane, KillTarget::Session(name)), 0, "it is gone");
    let heirs = sessions(&plane, SessionFilter::default());
    assert!(heirs.iter().any(|session| session.name.slot == name.slot), "the place is another's: {heirs:?}");
    [&heir, &neighbour].into_iter().for_each(greet);
    let all = KillTarget::Matching(SessionFilter { host: Some(spec.hosts[0].id), ..SessionFilter::default() });
    assert_eq!(kill(&plane, all), 2);
    assert!([&heir.0, &heir.1, &neighbour.0, &neighbour.1].into_iter().all(is_reset));
    assert_eq!(spec.counters.closed(CloseReason::Killed), 3);
    assert_eq!((spec.counters.open.load(Relaxed), spec.hosts[0].counters.open()), (0, 0));
    assert_eq!(spec.hosts[0].counters.lifetimes.total(), 3);
    plane.end();
}

#[test]
fn client_that_waits_is_killed_too_and_makes_no_room_at_the_host() {
    let host = played_host();
    let spec = service(0, &[(&host, Some(1))]);
    let plane = Plane::start(1, |_| {});
    let addr = plane.listen(0, &spec);
    let served = pair(addr, &host);
    let waiting = [TcpStream::connect(addr).unwrap(), TcpStream::connect(addr).unwrap()];
    until(PATIENCE, "both wait", || spec.counters.waiting.load(Relaxed) == 2);
    let client_addr = Some(waiting[0].local_addr().unwrap().into());
    assert_eq!(kill(&plane, KillTarget::Matching(SessionFilter { client_addr, ..SessionFilter::default() })), 1);
    assert!(is_reset(&waiting[0]));
    greet(&served);
    assert_eq!(spec.counters.waiting.load(Relaxed), 1);
    let client_addr = Some(served.0.local_addr().unwrap().into());
    assert_eq!(kill(&plane, KillTarget::Matching(SessionFilter { client_addr, ..SessionFilter::default() })), 1);
    let at_host = next(&host, PATIENCE).expect("the other one has its turn");
    let [_, last] = waiting;
    greet(&(last, at_host));
    plane.end();
}

#[test]
fn asker_is_not_left_waiting_by_a_reactor_that_ends_or_panics() {
    let host = played_host();
    let spec = service(0, &[(&host, None)]);
    let plane = Plane::start(2, |settings| settings.panic_at = Some(2));
    let addr = plane.listen(0, &spec);
    let _first = pair(addr, &host);
    let _fatal = TcpStream::connect(addr).unwrap();
    assert_eq!(sessions(&plane, SessionFilter::default()).len(), 0, "who starts afresh answers");
    plane.post(1, Update::Drain(Duration::ZERO));
    let query =
        |answer: Answer<SessionPage>| Arc::new(SessionQuery { filter: SessionFilter::default(), limit: 1, answer });
    let (sender, answers) = channel();
    // It has ended, or will before it answers.
    drop(plane.reactors.mailboxes()[1].post(Update::Sessions(query(Answer::into_channel(sender)))));
    let answer = answers.recv_timeout(PATIENCE);
    assert!(answer.is_ok() || answer == Err(RecvTimeoutError::Disconnected), "{answer:?}");
    plane.post(0, Update::Drain(Duration::ZERO));
    let _ = plane.reactors.join();
}

/// A host whose clients wait in its queue.
fn patient_host() -> TcpListener {
    listen("127.0.0.1:0".parse().unwrap(), 4096).unwrap()
}

/// Turns of a histogram that took longer than `bound`, or may have.
fn longer(counts: &[u64], bound: Duration) -> u64 {
    (0..).zip(counts).filter(|(n, _)| Histogram::below(*n).is_none_or(|end| end > bound)).map(|(_, turns)| turns).sum()
}

#[test]
fn all_of_thousands_of_sessions_are_told_and_cut_without_a_long_turn() {
    const SESSIONS: usize = 5200;
    let _alone = lock::alone();
    let hosts = [patient_host(), patient_host()];
    let spec = service(0, &[(&hosts[0], None), (&hosts[1], None)]);
    let plane = Plane::start(1, |settings| settings.max_connections = 10_000);
    let addr: SocketAddr = plane.listen(0, &spec);
    let established = || spec.hosts.iter().map(|host| host.counters.established.load(Relaxed)).sum::<u64>();
    let mut clients: Vec<TcpStream> = Vec::new();
    while clients.len() < SESSIONS {
        // No more at a time than the listener's queue holds.
        clients.extend((0..100).map(|_| TcpStream::connect(addr).unwrap()));
        until(PATIENCE, "all are connected", || established() == clients.len() as u64);
    }
    let times = || plane.reactors.counters()[0].turn_time.counts();
    let since = |before: [u64; Histogram::BUCKETS]| {
        let after = times();
        let turns: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let longest = turns.iter().rposition(|turns| *turns > 0).and_then(Histogram::below);
        (turns, longest.unwrap_or(Duration::MAX))
    };
    let before = times();
    let begun = Instant::now();
    let mut page = pages(&plane, &[0], SessionFilter::default(), usize::MAX).remove(0);
    let took = begun.elapsed();
    let (turns, longest) = since(before);
    figure(
        &format!("{SESSIONS} sessions told in, ms; longest turn below, ms"),
        format!("{}, {}", ms(took), ms(longest)),
    );
    assert_eq!((page.sessions.len(), page.total), (SESSIONS, SESSIONS));
    page.sessions.dedup_by_key(|session| session.name);
    assert_eq!(page.sessions.len(), SESSIONS, "each once");
    // What a busy machine adds is not there every time.
    assert!(longer(&turns, allowed(Duration::from_millis(17))) <= 1, "{turns:?}");
    let before = times();
    let begun = Instant::now();
    assert_eq!(kill(&plane, KillTarget::Matching(SessionFilter::default())), SESSIONS);
    let took = begun.elapsed();
    let (turns, longest) = since(before);
    figure(
        &format!("{SESSIONS} sessions cut in, ms; longest turn below, ms"),
        format!("{}, {}", ms(took), ms(longest)),
    );
    assert!(longer(&turns, allowed(Duration::from_millis(17))) <= 1, "{turns:?}");
    assert_eq!(spec.counters.closed(CloseReason::Killed), SESSIONS as u64);
    assert!(clients.iter().all(is_reset));
    plane.end();
}
