//! The configurations of the balancers that have files for it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::hosts::BACKLOG;
use crate::peers::{CONNECTIONS_MAX, Setting};

/// Where Debian and others keep nginx's modules.
const NGINX_STREAM: [&str; 3] = [
    "/usr/lib/nginx/modules/ngx_stream_module.so",
    "/usr/lib64/nginx/modules/ngx_stream_module.so",
    "/usr/share/nginx/modules/ngx_stream_module.so",
];

pub(crate) fn director(addr: SocketAddr, hosts: &[SocketAddr]) -> String {
    let hosts: String = hosts
        .iter()
        .enumerate()
        .map(|(index, host)| format!("      <host name=\"host{index}\" ip=\"{host}\"/>\n"))
        .collect();
    format!(
        "<director>\n  <service name=\"bench\">\n    <listen ip=\"{addr}\"/>\n    \
         <group name=\"main\" scheduler=\"roundrobin\">\n{hosts}    </group>\n  </service>\n</director>\n"
    )
}

/// `stem` is the path of its files, without an extension.
pub(crate) fn nginx(
    program: &Path,
    setting: &Setting<'_>,
    addr: SocketAddr,
    stem: &Path,
    half_close: bool,
) -> Result<String, Failure> {
    let built = Command::new(program).arg("-V").output()?;
    let built = String::from_utf8_lossy(&built.stderr).into_owned();
    let module = if built.contains("--with-stream=dynamic") {
        let found = NGINX_STREAM.iter().find(|path| Path::new(path).exists());
        format!("load_module {};\n", found.ok_or("its stream module is not installed")?)
    } else if built.contains("--with-stream") {
        String::new()
    } else {
        return Err("it was built without the stream module".into());
    };
    let hosts: String = setting.hosts.iter().map(|host| format!("    server {host};\n")).collect();
    let connections = CONNECTIONS_MAX * 2;
    let half_close = if half_close { "on" } else { "off" };
    Ok(format!(
        "{module}daemon off;\nworker_processes {threads};\npid {pid};\nerror_log stderr error;\n\
         events {{ worker_connections {connections}; }}\n\
         stream {{\n  access_log off;\n  upstream hosts {{\n{hosts}  }}\n  server {{\n    \
         listen {addr} backlog={BACKLOG};\n    proxy_pass hosts;\n    proxy_half_close {half_close};\n  }}\n}}\n",
        threads = setting.threads,
        pid = stem.with_extension("pid").display(),
    ))
}

pub(crate) fn haproxy(setting: &Setting<'_>, addr: SocketAddr) -> String {
    let hosts: String =
        setting.hosts.iter().enumerate().map(|(index, host)| format!("  server host{index} {host}\n")).collect();
    format!(
        "global\n  nbthread {threads}\n  maxconn {CONNECTIONS_MAX}\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 600s\n  timeout server 600s\n\
         frontend bench\n  bind {addr} backlog {BACKLOG}\n  default_backend hosts\n\
         backend hosts\n  balance roundrobin\n{hosts}",
        threads = setting.threads,
    )
}
