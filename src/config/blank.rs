//! What a configuration is before anything is said: the defaults of `<director>`, and no service.

use std::time::Duration;

use super::{Config, Manager};
use crate::model::limits::HOST_CHECK;

impl Config {
    /// No services yet: to be made by [`super::apply`]. No file can have it before it has one.
    #[must_use]
    pub const fn blank() -> Self {
        let manager = Manager {
            host_check: HOST_CHECK,
            checktime: Duration::ZERO,
            heartbeat: None,
            rise: 1,
            fall: 1,
            config_check: None,
        };
        Self { services: Vec::new(), manager, log_file: None, admin: None, control: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn blank_configuration_has_the_defaults_of_a_file() {
        let text = "<director><service name='s'><listen ip='*:1'/><group name='g'><host ip='h:2'/></group></service></director>";
        let said = parse(text, "f").unwrap();
        assert_eq!(said, Config { services: said.services.clone(), ..Config::blank() });
    }
}
