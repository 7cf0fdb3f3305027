//! The certificate: the operator's, or one that is made at the first start and kept.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{Address, Web};
use crate::model::limits::CONFIG_FILE_BYTES_MAX;

/// The names of what is kept.
const CERTIFICATE: &str = "web-certificate.pem";
const KEY: &str = "web-key.pem";

/// What TLS is spoken with, and the files that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    /// The files, and what they looked like.
    files: Vec<(PathBuf, Option<Stamp>)>,
}

/// What changes when a file does: its time, its size, and whether it is another one.
type Stamp = (SystemTime, u64);

impl Tls {
    /// Whether a file has changed since it was read.
    pub(super) fn is_stale(&self) -> bool {
        self.files.iter().any(|(path, stamp)| self::stamp(path) != *stamp)
    }

    /// Takes the files as they are for read, so that bad ones are told once.
    pub(super) fn look_away(&mut self) {
        for (path, stamp) in &mut self.files {
            *stamp = self::stamp(path);
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// Reads the certificate of the configuration, or the one that is kept in `state`, which is made when there is none.
///
/// # Errors
/// What is wrong with which file.
pub(super) fn load(web: &Web, state: Option<&Path>) -> Result<Tls, String> {
    let own = |name| state.map(|state| state.join(name));
    let files = web.certificate.clone().zip(web.key.clone());
    if let Some((certificate, key)) = files.or_else(|| own(CERTIFICATE).zip(own(KEY))) {
        if web.certificate.is_none() && !(certificate.exists() && key.exists()) {
            match make(web).and_then(|made| keep(&made, &certificate, &key).map(|()| made)) {
                Ok(made) => tell(&made, &certificate),
                Err(error) => {
                    let place = certificate.display();
                    log::warn!(target: TARGET, "a certificate cannot be kept in {place}: {error}; it is another at every start");
                    return passing(web);
                }
            }
        }
        return read(&certificate, &key);
    }
    passing(web)
}

/// The log's target.
pub(super) const TARGET: &str = "director::admin";

fn read(certificate: &Path, key: &Path) -> Result<Tls, String> {
    // Before they are read: what is written meanwhile is seen as a change.
    let files = [certificate, key].map(|path| (path.to_owned(), stamp(path))).to_vec();
    let chain = bytes(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|error| format!("{} is no certificate in PEM: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{} has no certificate in PEM", certificate.display()));
    }
    let text = bytes(key)?;
    let secret = PrivateKeyDer::from_pem_slice(&text);
    let secret = secret.map_err(|error| format!("{} has no private key in PEM: {error}", key.display()))?;
    if fs::metadata(key).is_ok_and(|data| data.permissions().mode() & 0o004 != 0) {
        log::warn!(target: TARGET, "everybody on this machine can read the key {}; expected mode 0600", key.display());
    }
    let config = serve(chain, secret);
    let config =
        config.map_err(|why| format!("{} and {} do not serve: {why}", certificate.display(), key.display()))?;
    Ok(Tls { config, files })
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let data = fs::metadata(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if !data.is_file() || data.len() > CONFIG_FILE_BYTES_MAX {
        return Err(format!("{} is no file, or too large", path.display()));
    }
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn serve(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A certificate that signs itself, in PEM and DER, with its key in PEM.
struct Made {
    certificate: String,
    der: Vec<u8>,
    key: String,
}

fn make(web: &Web) -> io::Result<Made> {
    let mut params = CertificateParams::new(names(web)).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, "Director");
    params.not_before = date_time_ymd(2020, 1, 1);
    // Whoever trusts it trusts it by its fingerprint: an end would only surprise.
    params.not_after = date_time_ymd(2100, 1, 1);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    Ok(Made { certificate: certificate.pem(), der: certificate.der().to_vec(), key: key.serialize_pem() })
}

fn names(web: &Web) -> Vec<String> {
    let mut names = vec![String::from("localhost"), String::from("127.0.0.1"), String::from("::1")];
    let own = match &web.listen {
        Address::Socket(address) if address.ip().is_unspecified() => None,
        Address::Socket(address) => Some(address.ip().to_string()),
        Address::Name { host, .. } => Some(host.clone()),
        Address::Unix(_) => None,
    };
    names.extend(own);
    let bare = |name: &String| name.trim_matches(['[', ']']).to_owned();
    let is_name = |name: &String| !name.contains(':') && name.contains(|c: char| c.is_ascii_alphabetic());
    names.extend(web.names.iter().map(bare).filter(|name| is_name(name) || name.parse::<IpAddr>().is_ok()));
    names.sort();
    names.dedup();
    names
}

/// Writes both files, the key readable for nobody else from its first byte on.
fn keep(made: &Made, certificate: &Path, key: &Path) -> io::Result<()> {
    for (path, text, mode) in [(key, &made.key, 0o600), (certificate, &made.certificate, 0o644)] {
        let fresh = path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
    }
    Ok(())
}

fn tell(made: &Made, place: &Path) {
    let print: Vec<String> = digest(&SHA256, &made.der).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    log::info!(
        target: TARGET,
        "made a certificate that signs itself in {}, SHA-256 fingerprint {}",
        place.display(),
        print.join(":")
    );
}

/// A certificate that is not kept.
fn passing(web: &Web) -> Result<Tls, String> {
    let made = make(web).map_err(|error| format!("no certificate can be made: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).map_err(|error| error.to_string())?;
    let config = serve(vec![CertificateDer::from(made.der)], key).map_err(|error| error.to_string())?;
    Ok(Tls { config, files: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    fn directory() -> PathBuf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("director-certificate-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn web() -> Web {
        let listen = Address::Socket("0.0.0.0:7001".parse().unwrap());
        Web { names: vec![String::from("lb.example"), String::from("192.0.2.1")], ..Web::new(listen, true) }
    }

    #[test]
    fn certificate_is_made_once_and_its_key_is_for_nobody_else() {
        let state = directory();
        load(&web(), Some(&state)).unwrap();
        let read = |name| fs::read_to_string(state.join(name)).unwrap();
        let (certificate, key) = (read(CERTIFICATE), read(KEY));
        assert_eq!(fs::metadata(state.join(KEY)).unwrap().permissions().mode() & 0o777, 0o600);
        let tls = load(&web(), Some(&state)).unwrap();
        assert_eq!((read(CERTIFICATE), read(KEY)), (certificate, key));
        assert!(!tls.is_stale());
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn files_that_do_not_serve_are_named() {
        let state = directory();
        load(&web(), Some(&state)).unwrap();
        let other = directory();
        load(&web(), Some(&other)).unwrap();
        let with = |certificate: &Path, key: &Path| {
            let web = Web { certificate: Some(certificate.to_owned()), key: Some(key.to_owned()), ..web() };
            load(&web, None).map(drop)
        };
        let (certificate, key) = (state.join(CERTIFICATE), state.join(KEY));
        assert_eq!(with(&certificate, &key), Ok(()));
        for (certificate, key, told) in [
            (certificate.as_path(), other.join(KEY).as_path(), "do not serve"),
            (Path::new("/nowhere"), &key, "/nowhere cannot be read"),
            (Path::new("/dev/zero"), &key, "/dev/zero is no file"),
            (&key, &key, "has no certificate"),
            (&certificate, &certificate, "has no private key"),
        ] {
            let why = with(certificate, key).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
        fs::remove_dir_all(state).unwrap();
        fs::remove_dir_all(other).unwrap();
    }

    #[test]
    fn changed_file_is_seen_and_certificate_without_a_place_is_made_all_the_same() {
        let state = directory();
        let mut tls = load(&web(), Some(&state)).unwrap();
        fs::write(state.join(KEY), "other").unwrap();
        assert!(tls.is_stale());
        tls.look_away();
        assert!(!tls.is_stale());
        assert!(load(&web(), None).is_ok());
        assert!(load(&web(), Some(Path::new("/nowhere/at/all"))).is_ok());
        fs::remove_dir_all(state).unwrap();
    }
}
