//! Listeners over reloads, abstract names, sessions and their ends.

use super::*;

#[test]
fn listener_stays_over_reloads_moves_and_goes_with_nobody_lost() {
    let folder = Scratch::new();
    let hosts = ["a", "b"].map(|name| Host::serve(name, scripts::greet()));
    let path = folder.path("s");
    let both = |first: &str, second: &str, max: u32| {
        let service = |name: &str, host: &Host, has: bool| {
            let service = Service::new(name).host(host.name(), host.addr()).set("max-connections", max);
            let service = service.listen("127.0.0.1:0");
            if has { listening(&path, service) } else { service }
        };
        let first = service("one", &hosts[0], first == "unix");
        Config::from(first).and(service("two", &hosts[1], second == "unix"))
    };
    let director = Director::plan(both("unix", "", 1)).start();
    let greeted = |mut stream: &UnixStream| {
        let mut text = [0; 2];
        stream.read_exact(&mut text).unwrap();
        char::from(text[0])
    };
    let kept = come(&path);
    assert_eq!(greeted(&kept), 'a');
    // They wait in the queue: the service has as many as it may have.
    let waiting = [come(&path), come(&path)];
    director.write_config(both("", "unix", 1));
    let line = director.reload();
    assert!(line.contains("listeners-moved=1"), "{line}");
    assert_eq!(greeted(&waiting[0]), 'b', "the queue has moved with the listener");
    director.write_config(both("", "", 1));
    director.reload();
    assert!(!path.exists());
    assert_eq!(greeted(&waiting[1]), 'b', "who was in the queue is served, whatever the limit");
    assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), ErrorKind::NotFound);
    director.write_config(both("unix", "", 9));
    director.reload();
    assert_eq!(greeted(&come(&path)), 'a');
    (&kept).write_all(b"still here").unwrap();
    let mut back = [0; 10];
    (&kept).read_exact(&mut back).unwrap();
    assert_eq!(&back, b"still here");
    drop((kept, waiting));
    director.finish();
}

#[test]
fn clients_of_an_abstract_name_are_spread_over_all_reactors() {
    let host = Host::serve("a", scripts::greet());
    let name = format!("director-test-{}", std::process::id());
    let addr = UnixAddr::from_abstract_name(&name).unwrap();
    let service = Service::with(&[&host]).listen(format!("unix:@{name}"));
    let director = Director::plan(service).threads(4).start();
    let mut open = Vec::new();
    for _ in 0..400 {
        let mut stream = ready(UnixStream::connect_addr(&addr).unwrap());
        stream.read_exact(&mut [0; 2]).unwrap();
        open.push(stream);
    }
    let shares: Vec<u64> = director.counters().reactors.iter().map(|reactor| reactor.number("accepted")).collect();
    figure("400 clients of one socket, by reactor", format!("{shares:?}"));
    assert_eq!(shares.iter().sum::<u64>(), 400);
    assert!(shares.iter().all(|share| *share >= 400 / shares.len() as u64 / 4), "{shares:?}");
    drop(open);
    director.finish();
}

#[test]
fn sessions_of_this_machine_are_listed_and_cut() {
    let folder = Scratch::new();
    let local = Local::serve(folder.path("h"), echo);
    let path = folder.path("s");
    let site = Site::start(&format!(
        "<service name='web'><listen ip='unix:{}'/><listen ip='127.0.0.1:0'/>
           <group name='g'><host name='l' ip='{}'/></group></service>",
        path.display(),
        local.addr()
    ));
    let mut stream = come(&path);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let client = Client::connect(site.director.addr());
    client.send(b"x");
    assert_eq!(client.read_exact(1), b"x");
    let list = site.json(&["sessions", "client=unix"]);
    let session = &list["sessions"][0];
    assert_eq!((&list["total"], session["client"].as_str()), (&1.into(), Some("unix")), "{list}");
    assert_eq!(session["listen"].as_str(), Some(format!("unix:{}", path.display()).as_str()));
    assert_eq!(session["host_addr"].as_str(), Some(local.addr().as_str()));
    assert!(session["local"].is_null());
    let status = site.json(&["status"]);
    assert_eq!(status["services"][0]["listeners"][0]["accepted"], 1);
    assert!(site.ctl(&["sessions"]).good().contains(" unix "));
    site.ctl(&["kill", "client=unix"]).good();
    assert_eq!(told(&stream), "");
    client.send(b"y");
    assert_eq!(client.read_exact(1), b"y", "the other one goes on");
    // A host of this machine is added, drained and removed like any other.
    let other = Local::serve(folder.path("o"), tell("o"));
    site.ctl(&["add", "web/g", &other.addr(), "name=o", "max=5"]).good();
    site.ctl(&["set", "web/g/o", "keepalive=60s"]).failed(1);
    site.ctl(&["drain", "web/g/l", "--no-wait"]).good();
    assert_eq!(told(&come(&path)), "o");
    let listen = format!("unix:{}", path.display());
    site.ctl(&["listen", "set", "web", &listen, "mode=0622"]).good();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o622);
    site.ctl(&["listen", "del", "web", &listen]).good();
    assert!(!path.exists());
    drop(client);
    site.director.finish();
}

#[test]
fn client_that_goes_without_reading_is_a_reset_for_its_host() {
    let folder = Scratch::new();
    let host = Host::serve("a", scripts::source(1, 1 << 20));
    let path = folder.path("s");
    let mut director = Director::plan(listening(&path, Service::with(&[&host]))).start();
    let mut stream = come(&path);
    stream.read_exact(&mut [0; 100]).unwrap();
    drop(stream);
    let counters = director.check_at_rest();
    assert_eq!(counters.service("s").number("closed-client-reset"), 1);
}
