//! HTTPS of the administration page: the certificate of the first start, the operator's own, and one that changes.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use support::http::{connect, raw};
use support::log::Mark;
use support::scratch::Scratch;
use support::wait::allowed;
use support::{Director, Host, PATIENCE, scripts, until};

mod support;

/// Of `secret` (crypt(3)).
const HASH: &str = "saHW9GdxihkGQ";

fn text(host: &Host, attributes: &str) -> String {
    format!(
        "<director><service name='web'><listen ip='127.0.0.1:0'/>
           <group name='g'><host name='a' ip='{}'/></group></service>
         <admin><web listen='127.0.0.1:0' enable='yes' secure='yes' {attributes}/>
           <user name='root' password='{HASH}' access='full'/></admin></director>",
        host.addr()
    )
}

fn page_of(director: &Director) -> SocketAddr {
    let line = director.wait_for_log(&["administration page on https://"], PATIENCE);
    line.rsplit("://").next().and_then(|addr| addr.trim().parse().ok()).expect("an address")
}

/// What curl gets from the page when it trusts this certificate and no other, or why it gets nothing.
fn curl(page: SocketAddr, trusted: &Path, more: &[&str]) -> Result<String, String> {
    let url = format!("https://{page}/running.txt");
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "10", "-u", "root:secret", "--cacert"]).arg(trusted).args(more).arg(url);
    let output = command.output().expect("curl");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Writes another certificate and its key, each in one move.
fn renew(certificate: &Path, key: &Path) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([String::from("127.0.0.1")]).expect("a certificate");
    for (path, text) in [(key, signing_key.serialize_pem()), (certificate, cert.pem())] {
        let new = path.with_extension("new");
        fs::write(&new, text).expect("write it");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("its mode");
        fs::rename(new, path).expect("rename it");
    }
}

#[test]
fn certificate_of_the_first_start_is_kept_and_vouches_for_the_page() {
    let host = Host::serve("a", scripts::tell_name());
    let state = Scratch::new();
    let (certificate, key) = (state.path("web-certificate.pem"), state.path("web-key.pem"));
    let mut kept = Vec::new();
    for start in 0..2 {
        let plan = Director::plan_text(&text(&host, "")).env("STATE_DIRECTORY", state.path(""));
        let director = plan.start();
        let page = page_of(&director);
        let told = director.log().count(Mark::default(), &["SHA-256 fingerprint"]);
        assert_eq!(told, usize::from(start == 0), "its fingerprint is told when it is made");
        for version in ["--tlsv1.3", "--tls-max=1.2"] {
            let arguments: Vec<&str> = version.split('=').collect();
            assert!(curl(page, &certificate, &arguments).unwrap().starts_with("service web "), "{version}");
        }
        kept.push((fs::read(&certificate).unwrap(), fs::read(&key).unwrap()));
        director.finish();
    }
    assert!(kept[0] == kept[1], "another certificate after the second start");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn own_certificate_is_served_and_read_again_when_it_changes() {
    let host = Host::serve("a", scripts::tell_name());
    let scratch = Scratch::new();
    let (certificate, key) = (scratch.path("c.pem"), scratch.path("k.pem"));
    renew(&certificate, &key);
    let first = scratch.path("first.pem");
    fs::copy(&certificate, &first).unwrap();
    let own = format!("certificate='{}' key='{}'", certificate.display(), key.display());
    let director = Director::plan_text(&text(&host, &own)).start();
    let page = page_of(&director);
    assert!(curl(page, &first, &[]).unwrap().starts_with("service web "));
    renew(&certificate, &key);
    until(2 * PATIENCE, "the new certificate is served", || curl(page, &certificate, &[]).is_ok());
    assert!(curl(page, &first, &[]).is_err(), "the one before is not");
    // A pair that does not serve is told once, and the one before stays.
    fs::write(&key, "no key").unwrap();
    director.wait_for_log(&["stays as it was", "k.pem has no private key"], 2 * PATIENCE);
    assert!(curl(page, &certificate, &[]).unwrap().starts_with("service web "));
    renew(&certificate, &key);
    until(2 * PATIENCE, "it is served again", || curl(page, &certificate, &[]).is_ok());
    director.finish();
}

#[test]
fn certificate_that_is_no_good_ends_the_start() {
    let host = Host::serve("a", scripts::tell_name());
    let own = "certificate='/nowhere/c.pem' key='/nowhere/k.pem'";
    let (status, _, told) = Director::plan_text(&text(&host, own)).run();
    assert_eq!(status.code(), Some(3), "{told}");
    assert!(told.contains("/nowhere/c.pem"), "{told}");
}

#[test]
fn client_that_speaks_no_tls_is_told_and_one_that_stops_is_given_up() {
    let host = Host::serve("a", scripts::tell_name());
    let state = Scratch::new();
    let director = Director::plan_text(&text(&host, "")).env("STATE_DIRECTORY", state.path("")).start();
    let page = page_of(&director);
    let plain = raw(&connect(page, None), &format!("GET / HTTP/1.1\r\nHost: {page}\r\n\r\n"));
    assert_eq!(plain.status, 400, "{plain:?}");
    assert!(plain.body.contains("https://"), "{plain:?}");
    let since = Instant::now();
    let mut stopped = connect(page, None);
    stopped.set_read_timeout(Some(2 * PATIENCE)).expect("set the timeout");
    stopped.write_all(&[0x16, 3, 1, 2, 0]).expect("send");
    let _ = stopped.read_to_end(&mut Vec::new());
    let most = Duration::from_secs(10) + allowed(Duration::from_secs(2));
    assert!((Duration::from_secs(9)..most).contains(&since.elapsed()), "{:?}", since.elapsed());
    let certificate = state.path("web-certificate.pem");
    assert!(curl(page, &certificate, &[]).is_ok(), "others are served meanwhile");
    director.finish();
}
