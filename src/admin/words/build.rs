//! From sorted words to what is to be done.

use std::net::{IpAddr, SocketAddr};

use super::matched::Matched;
use super::spec::{Spec, Verb};
use super::{Client, Does, Form, Misuse, Mode, Shell, View, Wait, Wire, place, search};
use crate::config::time;
use crate::model::change::{Attributes, Change, GroupRef, HostRef};
use crate::model::command::{Command, SessionSearch, Source, Target};
use crate::model::limits::BLACKLIST;
use crate::model::scheduler::SchedulerKind;
use crate::model::sticky::StickySearch;

/// What the words of this command ask for.
pub(super) fn build(spec: &Spec, mut words: Matched) -> Result<Does, Misuse> {
    let w = &mut words;
    match spec.verb {
        Verb::Status
        | Verb::Hosts
        | Verb::Sessions
        | Verb::Whois
        | Verb::Events
        | Verb::UserList
        | Verb::ConfigShow => look(spec.verb, w),
        Verb::Add | Verb::Del | Verb::Weight | Verb::Max | Verb::Set | Verb::Up | Verb::Down => host(spec.verb, w),
        Verb::Enable | Verb::Scheduler | Verb::GroupAdd | Verb::GroupSet | Verb::GroupDel | Verb::GroupClear => {
            group(spec.verb, w)
        }
        Verb::ServiceAdd
        | Verb::ServiceSet
        | Verb::ServiceDel
        | Verb::ListenAdd
        | Verb::ListenSet
        | Verb::ListenDel => Ok(service(spec.verb, w)?),
        Verb::UserAdd | Verb::UserSet | Verb::UserDel | Verb::ManagerSet | Verb::LogFile => setting(spec.verb, w),
        Verb::ConfigDiff
        | Verb::ConfigSave
        | Verb::ConfigReload
        | Verb::ConfigLoad
        | Verb::ConfigConfirm
        | Verb::ConfigGoback => configuration(spec.verb, w),
        Verb::Drain => drain(w),
        Verb::Blacklist => blacklist(w).map(plain),
        Verb::StickyList => Ok(plain(Command::Sticky(sticky(w)?))),
        Verb::StickyClear => forget(w).map(plain),
        Verb::Retry => Ok(plain(Command::Retry(place::host(&w.one())?))),
        Verb::Kill => kill(w).map(|target| plain(Command::Kill(target))),
        Verb::LogLevel => Ok(plain(Command::LogLevel(w.one()))),
        Verb::LogReopen => Ok(plain(Command::ReopenLog)),
        Verb::LogCounters => Ok(plain(Command::LogCounters)),
        Verb::LogLoops => Ok(plain(Command::LogLoops)),
        Verb::Shutdown => Ok(plain(Command::Shutdown { wait: w.time("wait")? })),
        Verb::Batch => Ok(Does::Batch),
        Verb::Help => Ok(Does::Help(std::mem::take(&mut w.rest))),
        Verb::Top => Ok(Does::Client(Client::Top { once: w.has("once") })),
        Verb::Prompt => Ok(Does::Client(Client::Prompt)),
        Verb::Man => Ok(Does::Client(Client::Manual)),
        Verb::Complete => Ok(Does::Client(Client::Complete(std::mem::take(&mut w.rest)))),
        Verb::Completion => shell(&w.one()).map(|shell| Does::Client(Client::Completion(shell))),
        Verb::Text => Ok(Does::Wire(Wire::Mode(Mode::Text))),
        Verb::Json => Ok(Does::Wire(Wire::Mode(Mode::Json))),
        Verb::Colour => Ok(Does::Wire(Wire::Mode(Mode::Colour))),
        Verb::As => Ok(Does::Wire(Wire::As(w.one()))),
        Verb::Quit => Ok(Does::Wire(Wire::Quit)),
    }
}

const fn plain(command: Command) -> Does {
    Does::Command(command, View::Plain)
}

fn change(change: Change) -> Does {
    plain(Command::Change(vec![change]))
}

fn look(verb: Verb, w: &mut Matched) -> Result<Does, Misuse> {
    Ok(match verb {
        Verb::Hosts => Does::Command(Command::Snapshot, View::Hosts(w.maybe())),
        Verb::UserList => Does::Command(Command::Snapshot, View::Users),
        Verb::Sessions => plain(Command::Sessions(search::search(&w.pairs)?)),
        Verb::Whois => {
            let text = w.one();
            let wrong = || Misuse::new(format!("{text:?} is no address with a port, expected such as 10.0.0.1:40112"));
            let local: SocketAddr = text.parse().map_err(|_| wrong())?;
            whois(local)
        }
        Verb::Events => {
            let after = after(&w.pairs)?;
            if w.has("follow") {
                return Ok(Does::Follow { after });
            }
            plain(Command::Events { after: after.unwrap_or(0) })
        }
        Verb::ConfigShow => plain(Command::Config(match w.maybe().as_deref() {
            None | Some("running") => Source::Running,
            Some("loaded") => Source::Loaded,
            Some("file") => Source::File,
            Some(other) => {
                return Err(Misuse::new(format!("unknown {other:?}, expected running, loaded or file")));
            }
        })),
        _ => plain(Command::Snapshot),
    })
}

/// Who is behind this address of ours, which a host takes for its client.
fn whois(local: SocketAddr) -> Does {
    let search = SessionSearch { local: Some(local.to_string()), limit: 1, ..SessionSearch::default() };
    Does::Command(Command::Sessions(search), View::Client)
}

/// txLoadBalancer's question, which is an address and a port and nothing else.
#[must_use]
pub fn bare_question(line: &str) -> Option<Does> {
    let (ip, port) = line.trim().split_once(' ')?;
    let ip: IpAddr = ip.parse().ok()?;
    Some(whois(SocketAddr::new(ip, port.trim().parse().ok()?)))
}

fn after(pairs: &[(String, String)]) -> Result<Option<u64>, Misuse> {
    match pairs {
        [] => Ok(None),
        [(name, text)] if name == "after" => {
            let wrong = |_| Misuse::new(format!("after={text:?}: expected the number of an event"));
            text.parse().map(Some).map_err(wrong)
        }
        [..] => Err(Misuse::new("expected after=N and nothing else")),
    }
}

fn host(verb: Verb, w: &mut Matched) -> Result<Does, Misuse> {
    let with = |host: HostRef, name: &str, text: String| {
        change(Change::SetHost { host, attributes: Attributes::new([(name, text)]) })
    };
    if verb == Verb::Add {
        let (group, address, mut attributes) = (place::group(&w.one())?, w.one(), w.attributes());
        let name = attributes.0.iter().position(|(name, text)| name == "name" && !text.is_empty());
        let host = name.map(|at| attributes.0.remove(at).1);
        return Ok(change(Change::AddHost { group, host, address, attributes }));
    }
    let host = place::host(&w.one())?;
    Ok(match verb {
        Verb::Del => change(Change::RemoveHost { host }),
        Verb::Weight => with(host, "weight", w.one()),
        Verb::Max => with(host, "max", Some(w.one()).filter(|text| text != "none").unwrap_or_default()),
        Verb::Up => with(host, "state", String::from("up")),
        Verb::Down => with(host, "state", String::from("down")),
        _ => change(Change::SetHost { host, attributes: w.some_attributes()? }),
    })
}

fn drain(w: &mut Matched) -> Result<Does, Misuse> {
    let host = place::host(&w.one())?;
    let wait = Wait { deadline: w.time("deadline")?, kill: w.has("kill") };
    if !w.has("no-wait") {
        return Ok(Does::Drain { host, wait: Some(wait) });
    }
    if wait != Wait::default() {
        return Err(Misuse::new("--no-wait beside --deadline or --kill, expected one or the other"));
    }
    Ok(Does::Drain { host, wait: None })
}

/// The change that starts a drain.
#[must_use]
pub fn start_drain(host: HostRef) -> Command {
    Command::Change(vec![Change::SetHost { host, attributes: Attributes::new([("state", "drain")]) }])
}

fn group(verb: Verb, w: &mut Matched) -> Result<Does, Misuse> {
    let group: GroupRef = place::group(&w.one())?;
    Ok(change(match verb {
        Verb::Enable => Change::EnableGroup { group },
        Verb::Scheduler => {
            let name = w.one();
            // Options behind it are for the configuration to judge.
            let kind = name.split(',').next().unwrap_or_default().trim();
            if SchedulerKind::from_name(kind).is_none() {
                let names = SchedulerKind::ALL.map(SchedulerKind::name);
                let near = crate::config::closest(kind, names);
                let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                let known = names.join(", ");
                return Err(Misuse::new(format!("unknown scheduler {name:?}, expected one of {known}{hint}")));
            }
            Change::SetGroup { group, attributes: Attributes::new([("scheduler", name)]) }
        }
        Verb::GroupAdd => Change::AddGroup { group, attributes: w.attributes() },
        Verb::GroupDel => Change::RemoveGroup { group },
        Verb::GroupClear => Change::RemoveAllHosts { group },
        _ => Change::SetGroup { group, attributes: w.some_attributes()? },
    }))
}

fn service(verb: Verb, w: &mut Matched) -> Result<Does, Misuse> {
    let service = w.one();
    Ok(change(match verb {
        Verb::ServiceAdd => Change::AddService { service, listen: w.one(), attributes: w.attributes() },
        Verb::ServiceDel => Change::RemoveService { service },
        Verb::ListenAdd => Change::AddListener { service, listen: w.one(), attributes: w.attributes() },
        Verb::ListenDel => Change::RemoveListener { service, listen: w.one() },
        Verb::ListenSet => Change::SetListener { service, listen: w.one(), attributes: w.some_attributes()? },
        _ => Change::SetService { service, attributes: w.some_attributes()? },
    }))
}

fn setting(verb: Verb, w: &mut Matched) -> Result<Does, Misuse> {
    Ok(change(match verb {
        Verb::UserAdd => {
            let (user, attributes) = (w.one(), w.attributes());
            let is_open = attributes.get("password").is_none() && attributes.get("key").is_none();
            let add = Change::AddUser { user, attributes };
            if is_open {
                return Ok(Does::WithPassword(Command::Change(vec![add])));
            }
            add
        }
        Verb::UserSet if w.has("password") => {
            let set = Change::SetUser { user: w.one(), attributes: w.attributes() };
            return Ok(Does::WithPassword(Command::Change(vec![set])));
        }
        Verb::UserSet => Change::SetUser { user: w.one(), attributes: w.some_attributes()? },
        Verb::UserDel => Change::RemoveUser { user: w.one() },
        Verb::LogFile => Change::SetLog { file: w.maybe() },
        _ => Change::SetManager { attributes: w.some_attributes()? },
    }))
}

fn configuration(verb: Verb, w: &mut Matched) -> Result<Does, Misuse> {
    Ok(match verb {
        Verb::ConfigDiff => {
            let form = form(w)?;
            match w.maybe() {
                Some(file) => Does::DiffFile { file, form },
                None => {
                    let (from, to) = (Source::Running, Source::File);
                    Does::Command(Command::Diff { from, to }, View::Differences(form))
                }
            }
        }
        Verb::ConfigSave => plain(Command::Save { overwrite: w.has("overwrite") }),
        Verb::ConfigReload => plain(Command::Reload { confirm: w.time("confirm")? }),
        Verb::ConfigLoad => Does::Load { file: w.one(), confirm: w.time("confirm")? },
        Verb::ConfigConfirm => plain(Command::Confirm),
        _ => plain(Command::GoBack),
    })
}

fn form(w: &Matched) -> Result<Form, Misuse> {
    match (w.has("commands"), w.has("api"), w.value("api")) {
        (false, false, _) => Ok(Form::Text),
        (true, false, _) => Ok(Form::Commands),
        (false, true, None) => Ok(Form::Api),
        (false, true, Some("pydir")) => Ok(Form::PythonDirector),
        (false, true, Some(other)) => Err(Misuse::new(format!("--api={other:?}: expected --api or --api=pydir"))),
        (true, true, _) => Err(Misuse::new("--commands beside --api, expected one of them")),
    }
}

fn kill(w: &Matched) -> Result<Target, Misuse> {
    if let [one] = w.rest.as_slice()
        && !one.contains('=')
    {
        return one.parse().map(Target::One).map_err(|error| Misuse::new(format!("{one:?}: {error}")));
    }
    let pair = |word: &String| word.split_once('=').map(|(name, text)| (name.to_owned(), text.to_owned()));
    let pairs: Option<Vec<_>> = w.rest.iter().map(pair).collect();
    let pairs = pairs.filter(|pairs| !pairs.is_empty());
    let expected = || Misuse::new("expected a session such as 0-17-9234, or client=…, host=…, service=… or local=…");
    let search = search::search(&pairs.ok_or_else(expected)?)?;
    Ok(Target::All(SessionSearch { limit: 0, ..search }))
}

fn blacklist(w: &mut Matched) -> Result<Command, Misuse> {
    let host = place::host(&w.one())?;
    let read = |text: String| time(&text).map_err(|what| Misuse::new(format!("T {text:?}: {what}")));
    let time = w.maybe().map_or(Ok(BLACKLIST), read)?;
    Ok(Command::Blacklist { host, time })
}

fn forget(w: &mut Matched) -> Result<Command, Misuse> {
    let is_all = w.has("all");
    let search = StickySearch { limit: 0, ..sticky(w)? };
    match (is_all, search == StickySearch::default()) {
        (true, true) | (false, false) => Ok(Command::Forget(search)),
        (true, false) => Err(Misuse::new("--all beside what tells clients, expected one or the other")),
        (false, true) => Err(Misuse::new("expected SERVICE/GROUP, client=…, host=…, service=…, group=… or --all")),
    }
}

fn sticky(w: &mut Matched) -> Result<StickySearch, Misuse> {
    let group = w.maybe().map(|word| place::group(&word)).transpose()?;
    search::sticky(group, &w.pairs)
}

fn shell(name: &str) -> Result<Shell, Misuse> {
    let known = [Shell::Bash, Shell::Zsh, Shell::Fish].into_iter().find(|shell| shell.name() == name);
    known.ok_or_else(|| Misuse::new(format!("unknown shell {name:?}, expected bash, zsh or fish")))
}
