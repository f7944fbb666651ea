//! otlet's main: argv → flags → run → exit status.
//!
//! 0 after an orderly stop, 1 could not run or was stopped by a second signal with items still to
//! send, 2 wrong flags.

use std::process::ExitCode;

use otlet::flags::{self, Command};
use otlet::observe::output::{complain, say};
use otlet::{admin, observe, run};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    let program = program.to_string_lossy();
    let cgroup_limit_bytes = observe::process::cgroup_limit_bytes();
    let env = |name: &str| std::env::var(name).ok();
    let command = match flags::parse(&program, args, &env, cgroup_limit_bytes) {
        Ok(command) => command,
        Err(error) => {
            complain(&format!("otlet: {error}"));
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help(topic) => say(&flags::help(topic)),
        Command::Version => {
            let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("OTLET_COMMIT"));
            say(&format!("otlet {version} ({commit}, {})\n", env!("OTLET_TARGET")))
        }
        Command::Healthcheck { address } => admin::is_healthy(address),
        Command::Check(config) => run::check(config),
        Command::Run(config) => {
            observe::log::init(config.log_level, config.log_format);
            run::run(config)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("otlet: {error}"));
            ExitCode::from(1)
        }
    }
}
