//! What a command is: the shape of the rows of [`super::table`], from which everything that knows commands is made.

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// One or two words.
    pub name: &'static str,
    /// What follows, in this order.
    pub args: &'static [Arg],
    /// In any place.
    pub flags: &'static [Flag],
    /// What it does, on one line.
    pub help: &'static str,
    /// More about it, for `help COMMAND` and the manual; empty when there is nothing to say.
    pub more: &'static str,
    /// Whether it takes `access="full"`.
    pub is_change: bool,
    /// Who knows it.
    pub known: Known,
    pub(super) verb: Verb,
}

/// Who knows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The socket, and so everybody.
    Everywhere,
    /// `directorctl`, which does it with others or alone.
    Client,
    /// The socket, for programs: people need it nowhere.
    Wire,
    /// `directorctl`, for programs.
    Hidden,
}

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// It must be there.
    One(&'static str, Kind),
    /// It may be there.
    Maybe(&'static str, Kind),
    /// Any number of `NAME=TEXT`.
    Pairs(Pairs),
    /// Any number of words, as they are.
    Rest(&'static str),
}

/// What an argument is, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A host, as `SERVICE/GROUP/HOST` or shorter.
    Host,
    /// `SERVICE/GROUP`.
    Group,
    /// A service's name.
    Service,
    /// An administrator's name.
    User,
    /// A file of the machine where `directorctl` runs; `-` is standard input.
    File,
    /// One of these words.
    Of(&'static [&'static str]),
    /// A scheduler.
    Scheduler,
    /// A command's first word.
    Command,
    /// Anything else.
    Text,
}

/// Where the names of `NAME=TEXT` are known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// The attributes of an element of the file, a few left out.
    Element(&'static str, &'static [&'static str]),
    /// These.
    Of(&'static [&'static str]),
}

/// A word with `--` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Without the `--`.
    pub name: &'static str,
    /// What its value stands for.
    pub value: Value,
    /// What it does, on one line.
    pub help: &'static str,
}

/// Whether a flag has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// It has none.
    None,
    /// It has one of its own.
    Must(&'static str),
    /// It may have one, after a `=`.
    May(&'static str),
}

/// What is done, a name a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Status,
    Hosts,
    Sessions,
    Whois,
    Events,
    Top,
    ConfigShow,
    ConfigDiff,
    UserList,
    Help,
    Add,
    Del,
    Weight,
    Max,
    Set,
    Drain,
    Up,
    Down,
    Retry,
    Blacklist,
    StickyList,
    StickyClear,
    Enable,
    Scheduler,
    ServiceAdd,
    ServiceSet,
    ServiceDel,
    GroupAdd,
    GroupSet,
    GroupDel,
    GroupClear,
    ListenAdd,
    ListenSet,
    ListenDel,
    UserAdd,
    UserSet,
    UserDel,
    ManagerSet,
    Kill,
    Batch,
    ConfigSave,
    ConfigReload,
    ConfigLoad,
    ConfigConfirm,
    ConfigGoback,
    LogLevel,
    LogFile,
    LogReopen,
    LogCounters,
    LogLoops,
    Shutdown,
    Prompt,
    Completion,
    Man,
    Complete,
    Text,
    Json,
    Colour,
    As,
    Quit,
}

impl Spec {
    /// The command with what follows: `weight HOST N`.
    #[must_use]
    pub fn usage(&self) -> String {
        let args = self.args.iter().map(|arg| match arg {
            Arg::One(name, _) => (*name).to_owned(),
            Arg::Maybe(name, _) => format!("[{name}]"),
            Arg::Pairs(_) => String::from("[NAME=TEXT…]"),
            Arg::Rest(name) => format!("[{name}…]"),
        });
        let flags = self.flags.iter().map(|flag| format!("[{}]", flag.usage()));
        let words = std::iter::once(self.name.to_owned()).chain(args).chain(flags);
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Flag {
    /// `--deadline T`.
    #[must_use]
    pub fn usage(&self) -> String {
        match self.value {
            Value::None => format!("--{}", self.name),
            Value::Must(value) => format!("--{} {value}", self.name),
            Value::May(value) => format!("--{}[={value}]", self.name),
        }
    }
}

impl Pairs {
    /// The names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Of(names) => names.to_vec(),
            Self::Element(element, without) => {
                let known = crate::config::vocabulary();
                let names = known.into_iter().filter(|(name, _)| *name == element).flat_map(|(_, names)| names);
                names.filter(|name| !without.contains(name)).collect()
            }
        }
    }
}
