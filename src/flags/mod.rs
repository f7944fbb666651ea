//! The command line: the only way to tell otlet anything. One table, everything derived from it.
//!
//! [`parse`] works in two stages: the arguments as typed, each belonging to a flag of the table;
//! then a checked [`Config`] of typed values, where nothing is left to interpret. Each room
//! declares its own configuration and a function here fills it. Values follow one grammar, see
//! [`grammar`].
//!
//! Nothing here reads the environment, a file or a clock: they come in as arguments. No message
//! repeats a secret or what a variable held. Exit statuses are `main`'s.

mod arguments;
mod client;
mod command;
mod component;
mod ecs;
pub mod from_xray;
mod grammar;
mod help;
mod nearest;
mod otlp;
mod pipeline;
mod process;
mod remote_write;
mod scrape;
mod statsd;
mod stdout;
pub mod table;
mod to_otlp;
mod to_xray;
mod value;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use crate::aws::Environment;
use crate::observe::log::Format;
use crate::{admin, export, receive};
use arguments::Argument;
use component::{Component, Env};
use table::{Flag, Role, FLAGS};

pub use help::{readme_table, render as help};

/// Where ECS says that a task has metadata (Amazon ECS Developer Guide, "Task metadata endpoint
/// version 4").
pub const METADATA_VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// What is opened where no `--from-…` is given, each on its default; in an ECS task, its metrics
/// too.
const DEFAULT_RECEIVERS: &[&str] = &["from-otlp", "from-statsd", "from-xray"];

/// What the program is asked to do.
#[derive(Debug)]
pub enum Command {
    Run(Config),
    /// Try the configuration and each destination.
    Check(Config),
    /// Ask the admin page at this address.
    Healthcheck {
        address: SocketAddr,
    },
    /// Show one topic, or all flags; see [`help`].
    Help(Option<Topic>),
    Version,
}

/// What `--help=` can be asked about.
#[derive(Clone, Copy, Debug)]
pub enum Topic {
    Flag(&'static Flag),
    /// The keys of everything that connects out.
    Client,
}

/// One way in, as its room wants it.
#[derive(Clone, Debug)]
// A handful exist, made once at the start: the size of the largest does not matter.
#[allow(clippy::large_enum_variant)]
pub enum Receiver {
    Ecs(receive::ecs::Config),
    Otlp(receive::otlp::Config),
    Scrape(receive::scrape::Config),
    Statsd(receive::statsd::Config),
    Xray(receive::xray::Config),
}

/// One way out, as its room wants it.
#[derive(Clone, Debug)]
// A handful exist, made once at the start: the size of the largest does not matter.
#[allow(clippy::large_enum_variant)]
pub enum Exporter {
    Otlp(export::otlp::Config),
    RemoteWrite(export::remote_write::Config),
    Stdout(export::stdout::Config),
    Xray(export::xray::Config),
}

/// Everything the program is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// At least one, in the order given.
    pub receivers: Vec<Receiver>,
    /// At least one, in the order given.
    pub exporters: Vec<Exporter>,
    pub pipeline: crate::pipeline::Config,
    pub admin: admin::Config,
    /// Bound of all that is buffered.
    pub memory_limit_bytes: u64,
    /// From the first signal to the exit.
    pub stop_timeout: Duration,
    /// How long receivers stay open after the signal; never longer than the stop timeout.
    pub linger: Duration,
    pub log_level: log::LevelFilter,
    pub log_format: Format,
    /// The variables that AWS documents.
    pub environment: Environment,
}

/// What is wrong with the command line, on one line: where, what was expected, the nearest name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagError(String);

impl FlagError {
    fn new(message: String) -> FlagError {
        FlagError(message)
    }
}

impl std::fmt::Display for FlagError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for FlagError {}

/// Turns the command line into a command. `argv0` is the program's own name, `env` looks up a
/// variable, `cgroup_limit_bytes` is what the container may use, where that is known.
pub fn parse(
    argv0: &str,
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<String>,
    cgroup_limit_bytes: Option<u64>,
) -> Result<Command, FlagError> {
    if command::is_healthcheck(argv0) {
        return command::healthcheck(args);
    }
    let arguments = arguments::collect(args)?;
    if let Some(command) = command::instead_of_running(&arguments, env)? {
        return Ok(command);
    }
    let config = configure(&arguments, env, cgroup_limit_bytes)?;
    match given(&arguments, "check") {
        Some(_) => Ok(Command::Check(config)),
        None => Ok(Command::Run(config)),
    }
}

fn configure(
    arguments: &[Argument],
    env: Env,
    cgroup_limit_bytes: Option<u64>,
) -> Result<Config, FlagError> {
    let mut config = Config {
        receivers: Vec::new(),
        exporters: Vec::new(),
        pipeline: crate::pipeline::Config::default(),
        admin: admin::Config::default(),
        memory_limit_bytes: 0,
        stop_timeout: Duration::ZERO,
        linger: Duration::ZERO,
        log_level: log::LevelFilter::Info,
        log_format: Format::default(),
        environment: Environment::capture(env),
    };
    for flag in FLAGS.iter().filter(|flag| flag.role == Role::Process) {
        fill(flag, flag.default, env, &mut config)?;
    }
    if let Some(bytes) = cgroup_limit_bytes {
        config.memory_limit_bytes =
            config.memory_limit_bytes.min(bytes / 2).max(process::MEMORY_BYTES_MIN);
    }
    for argument in arguments {
        fill(argument.flag, argument.value.as_deref().unwrap_or_default(), env, &mut config)?;
    }
    if config.exporters.is_empty() {
        config.exporters.push(Exporter::Stdout(export::stdout::Config::default()));
    }
    if config.receivers.is_empty() {
        let is_task = config.environment.get(METADATA_VARIABLE).is_some();
        let is_default = |flag: &&Flag| {
            DEFAULT_RECEIVERS.contains(&flag.name) || is_task && flag.name == "from-ecs"
        };
        for flag in FLAGS.iter().filter(is_default) {
            fill(flag, "", env, &mut config)?;
        }
    }
    config.linger = config.linger.min(config.stop_timeout);
    Ok(config)
}

fn fill(flag: &'static Flag, value: &str, env: Env, config: &mut Config) -> Result<(), FlagError> {
    (flag.fill)(&Component::parse(flag, value, env)?, config)
}

fn given<'a>(arguments: &'a [Argument], name: &str) -> Option<&'a Argument> {
    arguments.iter().find(|argument| argument.flag.name == name)
}

#[cfg(test)]
mod tests;
