//! Passwords: asked for without showing them, and hashed here, so that nobody else ever has them.

use std::io::{self, BufRead, IsTerminal, Write};

use argon2::password_hash::PasswordHasher;
use argon2::{Argon2, PasswordHash};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use ring::rand::{SecureRandom, SystemRandom};

use super::link::Failure;

/// Longest password, in characters.
const CHARS_MAX: usize = 1024;

/// Asks for a password, twice on a terminal, and returns its hash.
///
/// # Errors
/// The two differ, it is empty, or nobody answers.
pub(crate) fn ask() -> Result<String, Failure> {
    let password = if io::stdin().is_terminal() {
        let password = read("Password: ")?;
        if read("Once more: ")? != password {
            return Err(Failure::Here(String::from("the two passwords differ, nothing has changed")));
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(|error| Failure::Here(error.to_string()))?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    if password.is_empty() {
        return Err(Failure::Here(String::from("the password is empty, nothing has changed")));
    }
    hash(&password)
}

/// Characters of a password that is made, of [`ALPHABET`]: a hundred bits.
const MADE_CHARS: usize = 20;
/// Two to the power of five characters, none of which is easily read as another one.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Makes a password that nobody has to think of, and returns it with its hash.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn made() -> Result<(String, String), Failure> {
    let mut bytes = [0; MADE_CHARS];
    let random = SystemRandom::new().fill(&mut bytes);
    random.map_err(|_| Failure::Here(String::from("the system has no random numbers for a password")))?;
    let password: String = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    let hash = hash(&password)?;
    Ok((password, hash))
}

/// The hash in the PHC string format: Argon2id with the parameters of RFC 9106's recommendation as of the crate.
fn hash(password: &str) -> Result<String, Failure> {
    let hashed: Result<PasswordHash, _> = Argon2::default().hash_password(password.as_bytes());
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| Failure::Here(format!("the password cannot be hashed: {error}")))
}

/// Reads a line from the terminal, which shows nothing of it.
fn read(prompt: &str) -> Result<String, Failure> {
    let here = |error: io::Error| Failure::Here(format!("the terminal: {error}"));
    let mut errors = io::stderr();
    errors.write_all(prompt.as_bytes()).and_then(|()| errors.flush()).map_err(here)?;
    let _raw = Raw::begin().map_err(here)?;
    let mut line = String::new();
    loop {
        let Event::Key(key) = event::read().map_err(here)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Ok(line),
            KeyCode::Char('c' | 'd') if with_control => {
                return Err(Failure::Here(String::from("no password, nothing has changed")));
            }
            KeyCode::Char('u') if with_control => line.clear(),
            KeyCode::Backspace => drop(line.pop()),
            KeyCode::Char(c) if !with_control && line.chars().count() < CHARS_MAX => line.push(c),
            _ => {}
        }
    }
}

/// A terminal that does not echo, as long as this lives.
struct Raw;

impl Raw {
    fn begin() -> io::Result<Self> {
        terminal::enable_raw_mode().map(|()| Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
        let _ = io::stderr().write_all(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;

    #[test]
    fn hash_is_argon2id_with_a_salt_of_its_own() {
        let (one, other) = (hash("secret").unwrap(), hash("secret").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        let parsed = PasswordHash::new(&one).unwrap();
        assert!(Argon2::default().verify_password(b"secret", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"Secret", &parsed).is_err());
    }
}
