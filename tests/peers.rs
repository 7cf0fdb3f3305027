//! Programs that people run: nginx as hosts, curl and ab as clients, and the ancestors' configuration files in between.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use support::log::Mark;
use support::netns::Obstacle;
use support::pattern::Pattern;
use support::scratch::Scratch;
use support::wait::ms;
use support::{Client, Director, Netns, PATIENCE, figure, lock, sized, until};

mod support;

/// The size of the page that the ancestors were measured with.
const PAGE_BYTES: usize = 18 * 1024;
const FRONT: &str = "127.0.0.1:8000";
const PORTS: [u16; 3] = [8001, 8002, 8003];

const PYTHON_DIRECTOR: &str = r#"<pdconfig>
  <!-- three web servers, one after the other -->
  <service name="webservers">
    <listen ip="127.0.0.1:8000"/>
    <group name="production" scheduler="roundrobin">
      <host name="one" ip="127.0.0.1:8001"/>
      <host name="two" ip="127.0.0.1:8002"/>
      <host name="three" ip="127.0.0.1:8003"/>
    </group>
    <group name="backup" scheduler="leastconnsrr">
      <host ip="127.0.0.1:8003"/>
    </group>
    <enable group="production"/>
  </service>
  <admin listen="127.0.0.1:8099" secure="no">
    <user name="operator" password="abQ9KY.KfrYrc" access="full"/>
    <user name="guest" password="abQ9KY.KfrYrc" access="readonly"/>
  </admin>
  <checktime time="1"/>
</pdconfig>
"#;

const TX_LOAD_BALANCER: &str = r#"<config>
  <service name="webservers">
    <listen ip="127.0.0.1:8000"/>
    <group name="production" scheduler="leastc" enable="true">
      <host name="one" ip="127.0.0.1:8001" weight="1"/>
      <host name="two" ip="127.0.0.1:8002" weight="1"/>
      <host name="three" ip="127.0.0.1:8003" weight="1"/>
    </group>
    <group name="backup" scheduler="weightr">
      <host name="four" ip="127.0.0.1:8003" weight="3"/>
    </group>
  </service>
  <admin>
    <web listen="127.0.0.1:8099" enable="true" secure="false" refresh="30"/>
    <ssh listen="127.0.0.1:8098" enable="true"/>
    <user name="operator" password="abQ9KY.KfrYrc" access="full"/>
  </admin>
  <manager>
    <hostCheck interval="1" enable="true"/>
    <configCheck interval="30" enable="false"/>
    <heartbeat interval="1" enable="true"/>
    <control socket=".director"/>
  </manager>
</config>
"#;

#[test]
fn ab_through_the_ancestors_configurations_and_three_nginx_has_no_failed_request() {
    let _alone = lock::alone();
    for (what, config) in [("PythonDirector", PYTHON_DIRECTOR), ("txLoadBalancer", TX_LOAD_BALANCER)] {
        let site = Site::new();
        let director = Director::plan_text(config).inside(&site.netns).start();
        let (direct, through) = (site.ab(&format!("127.0.0.1:{}", PORTS[0]), 2000), site.ab(FRONT, 2000));
        figure(&format!("ab -n 2000 -c 10 with a {what} file"), format!("{through}; direct {}", direct.per_second));
        assert_eq!((through.complete, through.failed), (2000, 0), "{through}");
        let counters = director.finish();
        let shares: Vec<u64> = counters.hosts.iter().map(|host| host.number("established")).collect();
        figure(&format!("shares with a {what} file"), format!("{shares:?}"));
        // The last of its connections ab opens in vain.
        assert!((2000..=2010).contains(&shares.iter().sum::<u64>()), "{shares:?}");
        assert_eq!(counters.hosts_sum("failed"), 0);
        assert!(shares[..3].iter().all(|share| *share > 500), "{shares:?}");
    }
}

#[test]
fn ab_has_no_failed_request_while_an_nginx_is_killed_and_restarted() {
    let _alone = lock::alone();
    for (what, config) in [("PythonDirector", PYTHON_DIRECTOR), ("txLoadBalancer", TX_LOAD_BALANCER)] {
        let mut site = Site::new();
        let director = Director::plan_text(config).inside(&site.netns).start();
        let requests = sized(20_000, 200_000);
        let load = site.start_ab(FRONT, requests);
        until(PATIENCE, "the load runs", || director.counters().host("two").number("established") > 100);
        // What a host is answering when it dies is lost with it, whoever balances: it has to die between two answers.
        site.netns.obstruct(PORTS[1], Some(Obstacle::Reset));
        director.wait_for_counters(PATIENCE, "it answers nobody", |all| all.host("two").number("open") == 0);
        site.hosts[1].kill();
        site.netns.obstruct(PORTS[1], None);
        let (mark, down) = (Mark::default(), Instant::now());
        director.wait_for_state(mark, "two", "down", PATIENCE);
        let served = director.counters().host("two").number("established");
        site.hosts[1].start(&site.netns);
        if what == "txLoadBalancer" {
            director.wait_for_state(mark, "two", "up", PATIENCE);
            figure("nginx used again after it was killed and restarted, ms", ms(down.elapsed()));
        }
        let done = Done::of(&load.wait_with_output().expect("ab"));
        figure(&format!("ab -n {requests} -c 10 with a {what} file, one nginx killed and restarted"), &done);
        assert_eq!((done.complete, done.failed), (requests, 0), "{done}");
        let counters = director.finish();
        let again = counters.host("two").number("established") - served;
        figure("requests to it afterwards", again);
        assert!(what == "PythonDirector" || again > 0, "it was not used again");
    }
}

#[test]
fn curl_gets_every_byte_through_every_host() {
    let site = Site::new();
    let director = Director::plan_text(PYTHON_DIRECTOR).inside(&site.netns).start();
    let page = fs::read(site.page()).expect("the page");
    for _ in 0..30 {
        let url = format!("http://{FRONT}/page");
        let output = site.run("curl", &["--silent", "--show-error", "--fail", "--max-time", "10", &url]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == page, "{} of {} bytes", output.stdout.len(), page.len());
    }
    // One connection, many requests; and a body in the other direction, which nginx does not want.
    let urls = vec![format!("http://{FRONT}/page"); 10];
    let mut arguments = vec!["--silent", "--fail", "--max-time", "10"];
    arguments.extend(urls.iter().map(String::as_str));
    assert_eq!(site.run("curl", &arguments).stdout.len(), 10 * page.len());
    let (body, url) = (format!("@{}", site.page().display()), format!("http://{FRONT}/page"));
    let refused = site
        .run("curl", &["--silent", "--max-time", "10", "--data-binary", &body, "--write-out", "%{http_code}", &url]);
    assert!(refused.stdout.ends_with(b"405"), "{}", String::from_utf8_lossy(&refused.stdout));
    let counters = director.finish();
    let shares: Vec<u64> = counters.hosts.iter().map(|host| host.number("established")).collect();
    figure("32 runs of curl over three nginx", format!("{shares:?}"));
    assert_eq!(&shares[..3], [11, 11, 10]);
}

/// Three nginx with one page, in a network of their own.
struct Site {
    hosts: Vec<Nginx>,
    netns: Netns,
    directory: Scratch,
}

impl Site {
    fn new() -> Self {
        let (netns, directory) = (Netns::new(), Scratch::new());
        fs::write(directory.path("page"), Pattern::new(1).bytes(PAGE_BYTES)).expect("write the page");
        let mut hosts: Vec<Nginx> = PORTS.iter().map(|port| Nginx::new(&directory, *port)).collect();
        hosts.iter_mut().for_each(|host| host.start(&netns));
        Self { hosts, netns, directory }
    }

    fn page(&self) -> PathBuf {
        self.directory.path("page")
    }

    fn ab(&self, addr: &str, requests: u64) -> Done {
        Done::of(&self.start_ab(addr, requests).wait_with_output().expect("ab"))
    }

    fn start_ab(&self, addr: &str, requests: u64) -> Child {
        let (requests, url) = (requests.to_string(), format!("http://{addr}/page"));
        let mut command = Command::new("ab");
        command.args(["-n", &requests, "-c", "10", &url]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.netns.run(|| command.spawn().expect("ab is installed (Debian package apache2-utils)"))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.netns.run(|| Command::new(program).args(arguments).output().expect("the program is installed"))
    }
}

/// An nginx of one process.
struct Nginx {
    port: u16,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Nginx {
    fn new(directory: &Scratch, port: u16) -> Self {
        let path = |name: &str| directory.path(&format!("{name}-{port}"));
        let (config, log, root) = (path("nginx.conf"), path("error.log"), directory.path(""));
        // With the rights of whoever runs the test, so that it may read what the test has written.
        let text = format!(
            "daemon off; master_process off; pid {pid}; error_log {log};\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp};\n\
             uwsgi_temp_path {temp}; scgi_temp_path {temp}; sendfile on; default_type application/octet-stream;\n\
             server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; }} }}\n",
            pid = path("pid").display(),
            log = log.display(),
            temp = path("temp").display(),
            root = root.display(),
        );
        fs::write(&config, text).expect("write nginx's configuration");
        Self { port, config, log, child: None }
    }

    #[track_caller]
    fn start(&mut self, netns: &Netns) {
        let (early, log) = (File::create(self.log.with_extension("early")).expect("a log"), &self.log);
        let mut command = Command::new("nginx");
        command.arg("-e").arg(log).arg("-c").arg(&self.config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(early);
        self.child = Some(netns.run(|| command.spawn().expect("nginx is installed (Debian package nginx-light)")));
        let addr: SocketAddr = ([127, 0, 0, 1], self.port).into();
        let listens = || netns.run(|| Client::try_connect(addr, PATIENCE)).is_ok();
        until(PATIENCE, "nginx listens", listens);
    }

    /// Ends it at once, as a crash would.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What ab says at its end.
struct Done {
    complete: u64,
    failed: u64,
    per_second: f64,
    text: String,
}

impl Done {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let number = |label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        };
        let count = |label| number(label).map_or(0, |count| format!("{count:.0}").parse().expect("a whole number"));
        let errors = count("Non-2xx responses:");
        let (complete, failed) = (count("Complete requests:"), count("Failed requests:") + errors);
        let per_second = number("Requests per second:").unwrap_or(0.0);
        Self { complete, failed, per_second, text }
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests, {} failed, {:.0} a second", self.complete, self.failed, self.per_second)?;
        // What else it said is of interest only when something went wrong.
        if self.complete == 0 || self.failed > 0 { write!(f, "\n{}", self.text) } else { Ok(()) }
    }
}
