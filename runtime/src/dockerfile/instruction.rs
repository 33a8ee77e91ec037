//! What instructions say, before variables are replaced.

use std::time::Duration;

use super::place::Place;

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Of its keyword.
    pub place: Place,
    /// Of its first word.
    pub words_place: Place,
    /// As written, on one line; for the image's history.
    pub source: String,
    /// What it says.
    pub kind: Kind,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Dockerfile's own")]
pub enum Kind {
    Add(Transfer),
    Arg(Vec<Arg>),
    Cmd(CommandLine),
    Copy(Transfer),
    Entrypoint(CommandLine),
    Env(Vec<Pair>),
    Expose(Vec<String>),
    Healthcheck(Health),
    Label(Vec<Pair>),
    Maintainer(String),
    /// The instruction as it is kept in the image.
    OnBuild(String),
    Run(Run),
    Shell(Vec<String>),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    Workdir(String),
}

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Never empty.
    pub name: String,
    /// May be.
    pub value: String,
}

/// `ARG name[=default]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Never empty.
    pub name: String,
    /// Where nobody gives it a value.
    pub default: Option<String>,
}

/// What is to be executed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The argument vector, or one text for the shell.
    pub args: Vec<String>,
    /// The stage's shell is put before it.
    pub is_shell: bool,
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is executed; of a heredoc, the script.
    pub command: CommandLine,
    /// What it says of its network.
    pub network: RunNetwork,
    /// Directories in memory that are none of the image's (`--mount=type=tmpfs`).
    pub scratch: Vec<Scratch>,
}

/// A directory in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// Where; may have variables.
    pub target: String,
    /// At most, bytes.
    pub size: Option<u64>,
    /// Of the flag.
    pub place: Place,
}

/// `--network` of a `RUN`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunNetwork {
    /// As the build's.
    #[default]
    Default,
    /// None at all.
    None,
    /// The machine's.
    Host,
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Paths and patterns of the context, of another stage or image; of `ADD`, addresses too.
    pub sources: Vec<String>,
    /// Files that come with the instruction.
    pub contents: Vec<Content>,
    /// Where to.
    pub target: String,
    /// Of `COPY`: a stage's name or number, or an image.
    pub from: Option<(String, Place)>,
    /// `user[:group]`, names or numbers.
    pub chown: Option<String>,
    /// Permission bits in octal.
    pub chmod: Option<(String, Place)>,
    /// Of `ADD` from an address: what it must be.
    pub checksum: Option<String>,
    /// Of `ADD`: whether archives are unpacked; local ones, where it does not say.
    pub unpack: Option<bool>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// Of `COPY`: directories on the way to a source come too.
    pub parents: bool,
}

/// A file that comes with an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Variables in it are replaced.
    pub expands: bool,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `None` for `HEALTHCHECK NONE`.
    pub command: Option<CommandLine>,
    /// Between checks.
    pub interval: Option<Duration>,
    /// Of one check.
    pub timeout: Option<Duration>,
    /// In which failures do not count.
    pub start_period: Option<Duration>,
    /// Between checks in the start period.
    pub start_interval: Option<Duration>,
    /// Failures in a row.
    pub retries: Option<u32>,
}

/// `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromStage {
    /// Of the keyword.
    pub place: Place,
    /// Of the image.
    pub words_place: Place,
    /// As written.
    pub source: String,
    /// An image, a stage before, or `scratch`; may have variables.
    pub base: String,
    /// In lower case.
    pub name: Option<String>,
    /// `os/architecture[/variant]`; may have variables.
    pub platform: Option<(String, Place)>,
}
