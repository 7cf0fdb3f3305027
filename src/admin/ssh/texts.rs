//! What `sshd` reads: its configuration, and who may log in.

use std::fmt::Write;
use std::path::Path;

use crate::admin::words::quote::quote;
use crate::config::{Address, User};

/// What the configuration is made of.
pub(super) struct Server<'a> {
    pub(super) listen: &'a Address,
    pub(super) directory: &'a Path,
    /// The account that the balancer runs as.
    pub(super) account: &'a str,
    pub(super) is_root: bool,
}

/// The server's configuration; see sshd_config(5).
pub(super) fn server(server: &Server<'_>) -> String {
    let Server { listen, directory, account, is_root } = server;
    let listen = match listen {
        Address::Socket(address) => address.to_string(),
        Address::Name { host, port } => format!("{host}:{port}"),
        // The configuration has none such here.
        Address::Unix(name) => name.to_string(),
    };
    let root = if *is_root { "forced-commands-only" } else { "no" };
    let directory = directory.display();
    format!(
        "# Made by director; changes are lost.
ListenAddress {listen}
HostKey \"{directory}/host_ed25519\"
AuthorizedKeysFile \"{directory}/authorized_keys\"
AllowUsers \"{account}\"
PermitRootLogin {root}
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
UsePAM no
# The directory is director's own and closed to others, which is more than this would look at.
StrictModes no
DisableForwarding yes
AllowTcpForwarding no
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
GatewayPorts no
PermitUserEnvironment no
PermitUserRC no
PrintMotd no
PrintLastLog no
PidFile none
LoginGraceTime 20
MaxAuthTries 3
MaxSessions 4
MaxStartups 10:30:20
ClientAliveInterval 60
ClientAliveCountMax 3
LogLevel INFO
"
    )
}

/// A line for each administrator with a key, bound to the command that acts for him; see sshd(8), `AUTHORIZED_KEYS FILE
/// FORMAT`.
pub(super) fn authorized_keys(users: &[User], directorctl: &Path, socket: &Path) -> String {
    let mut text = String::from("# Made by director; changes are lost.\n");
    for user in users {
        let Some(key) = &user.key else { continue };
        let (program, socket) = (quote(&directorctl.to_string_lossy()), quote(&socket.to_string_lossy()));
        let command = format!("{program} -s {socket} --as={} prompt", quote(&user.name)).replace('"', "\\\"");
        let _ = writeln!(text, "restrict,pty,command=\"{command}\" {key}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;

    fn user(name: &str, key: Option<&str>) -> User {
        User { name: name.into(), password: None, key: key.map(Into::into), access: Access::Full }
    }

    #[test]
    fn key_is_bound_to_its_administrator_whatever_he_is_called() {
        let users = [
            user("ann", Some("ssh-ed25519 AAAA1")),
            user("bob", None),
            user("x\"'; rm -rf / #", Some("ssh-ed25519 AAAA2")),
        ];
        let text = authorized_keys(&users, Path::new("/usr/bin/directorctl"), Path::new("/run/d.sock"));
        let lines: Vec<&str> = text.lines().collect();
        let expected = "restrict,pty,command=\"/usr/bin/directorctl -s /run/d.sock --as=ann prompt\" ssh-ed25519 AAAA1";
        assert_eq!(lines[1], expected);
        let expected = "restrict,pty,command=\"/usr/bin/directorctl -s /run/d.sock --as='x\\\"'\\''; rm -rf / #' prompt\" \
                        ssh-ed25519 AAAA2";
        assert_eq!(lines[2], expected);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn server_listens_there_and_lets_nothing_through_but_keys() {
        let listen = Address::Socket("[::1]:7002".parse().unwrap());
        let text = server(&Server { listen: &listen, directory: Path::new("/d"), account: "lb", is_root: false });
        for line in ["ListenAddress [::1]:7002", "PasswordAuthentication no", "DisableForwarding yes", "UsePAM no"] {
            assert!(text.lines().any(|known| known == line), "{line}");
        }
        assert!(!text.contains("Subsystem"));
    }
}
