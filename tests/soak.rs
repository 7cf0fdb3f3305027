//! Very many connections while hosts come and go: none is lost, nothing leaks, and all counts agree.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use support::counters::Counters;
use support::host::Script;
use support::netns::Obstacle;
use support::wait::StopAtEnd;
use support::{Churn, Config, Director, Host, Netns, Service, Tally, figure, lock, scripts, sized};

mod support;

const PORTS: [u16; 3] = [9001, 9002, 9003];

#[test]
fn connections_without_end_over_flapping_hosts_are_all_served_and_nothing_is_left() {
    let _alone = lock::alone();
    let connections = sized(20_000, 1_000_000);
    let netns = Netns::new();
    netns.sysctl("net/ipv4/ip_local_port_range", "10000 65535");
    netns.sysctl("net/ipv4/tcp_tw_reuse", "1");
    let start = |number: usize| {
        let (name, script): (_, Script) = (["a", "b", "c"][number], scripts::churn());
        let plan = Host::plan(name, script).workers(4).at(&format!("127.0.0.1:{}", PORTS[number]));
        netns.run(|| plan.start())
    };
    let hosts = [start(0), start(1), start(2)];
    let config = Config::new(Service::with(&[&hosts[0], &hosts[1], &hosts[2]])).host_check("100ms");
    let mut director = Director::plan(config).inside(&netns).log_lines_max(100_000).start();
    let load = |connections, tag| {
        let churn = Churn::new(director.addr(), connections, 8).tag(tag);
        netns.run(|| churn.run())
    };
    // The first ones let everything grow to its size.
    let mut all = load(2000, 1);
    let (memory, descriptors) = (director.process().resident_bytes(), director.process().descriptors());
    let stop = AtomicBool::new(false);
    let (tally, outages) = thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let flapping = scope.spawn(|| flap(&netns, &stop));
        let tally = load(connections, 2);
        stop.store(true, Relaxed);
        (tally, flapping.join().unwrap())
    });
    figure(&format!("over hosts that flap, {outages} outages"), &tally);
    all.add(tally.clone());
    let counters = director.check_at_rest();
    let (memory_after, descriptors_after) = (director.process().resident_bytes(), director.process().descriptors());
    figure("resident bytes before and after", format!("{memory} and {memory_after}"));
    figure("descriptors before and after", format!("{descriptors} and {descriptors_after}"));
    figure("connects that failed and were made again elsewhere", counters.hosts_sum("failed"));
    assert_eq!(tally.failed(), 0, "{tally}");
    assert!(outages > 2 && counters.hosts_sum("failed") > 0, "no host was missed");
    assert!(memory_after <= memory + memory / 20 + 256 * 1024, "{memory} and {memory_after}");
    assert!(descriptors_after <= descriptors, "{descriptors} and {descriptors_after}");
    assert_counted(&counters, &hosts, &all);
    director.finish();
}

/// Makes the hosts refuse new connections for a while, one after the other, so that two are always there.
fn flap(netns: &Netns, stop: &AtomicBool) -> u32 {
    let mut outages = 0;
    for port in PORTS.into_iter().cycle() {
        if stop.load(Relaxed) {
            break;
        }
        netns.obstruct(port, Some(Obstacle::Reset));
        thread::sleep(Duration::from_millis(150));
        netns.obstruct(port, None);
        thread::sleep(Duration::from_millis(150));
        outages += 1;
    }
    outages
}

/// Clients, balancer and hosts have counted the same.
fn assert_counted(counters: &Counters, hosts: &[Host; 3], tally: &Tally) {
    let ids: Vec<_> = hosts.iter().map(|host| host.record().ids()).collect();
    let served: usize = ids.iter().map(std::collections::HashMap::len).sum();
    let service = counters.service("s");
    figure("clients, accepted, established, served", {
        let (accepted, established) = (service.number("accepted"), counters.hosts_sum("established"));
        format!("{} {accepted} {established} {served}", tally.total())
    });
    assert!(ids.iter().flat_map(|ids| ids.values()).all(|times| *times == 1), "somebody was served twice");
    assert_eq!(served as u64, tally.ok);
    assert_eq!(service.number("accepted"), tally.total());
    assert_eq!(service.number("closed-finished"), tally.ok);
    assert_eq!(counters.reactors_sum("accepted"), tally.total());
    for (host, ids) in hosts.iter().zip(&ids) {
        let counted = counters.host(host.name());
        assert_eq!(counted.number("established"), ids.len() as u64, "{}", host.name());
        assert_eq!(counted.number("bytes-up"), host.record().bytes_in(), "{}", host.name());
        assert_eq!(counted.number("bytes-down"), host.record().bytes_out(), "{}", host.name());
    }
    assert_eq!(counters.hosts_sum("bytes-up"), tally.bytes.0);
    assert_eq!(counters.hosts_sum("bytes-down"), tally.bytes.1);
}
