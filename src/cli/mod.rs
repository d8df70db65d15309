//! The command line: arguments in, text out, an exit code. Decides nothing about anybody's data.

mod approve;
mod arguments;
mod ask;
mod demo;
mod holds;
mod log;
mod output;
mod practice_feed;
mod probe;
mod rehearse;
mod serve;
mod signals;
mod state_verbs;
mod survey;
mod verbs;

use crate::{config::ConfigError, cycle::Exit, store::StoreError};
use anyhow::Error;
use arguments::{Arguments, Verb};
use clap::Parser;
use output::{say, write_stdout};
use std::process::ExitCode;

/// Exit code of a mistake on the command line (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// How a verb ended.
enum Ended {
    Exit(Exit),
    /// `plan --detailed-exitcode`: there are changes; the same of `drift`.
    Changes,
    Usage,
    /// Stopped by a signal, cleanly.
    Signal(u8),
}

impl Ended {
    fn code(&self) -> u8 {
        match self {
            Self::Exit(exit) => exit.code(),
            Self::Changes => 2,
            Self::Usage => USAGE,
            // As shells report a process that a signal ended.
            Self::Signal(number) => 128 + number,
        }
    }
}

/// Something that the caller has to write otherwise.
#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error("{0}")]
    CommandLine(String),
    #[error("{0}")]
    Configuration(String),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let logs = log::set_up(&arguments);
    let ended = run(arguments);
    logs.finish();
    match ended {
        Ok(ended) => ExitCode::from(ended.code()),
        Err(error) => ExitCode::from(tell(&error)),
    }
}

/// `--help` and `--version` come this way too, and are no mistakes.
fn usage(error: &clap::Error) -> ExitCode {
    let mistake = error.use_stderr();
    let _ = error.print();
    ExitCode::from(if mistake { USAGE } else { 0 })
}

/// Prints an error with its causes; its exit code.
fn tell(error: &Error) -> u8 {
    say(&format!("error: {error:#}"));
    match error.downcast_ref() {
        Some(Mistake::CommandLine(_)) => USAGE,
        Some(Mistake::Configuration(_)) => Exit::Config.code(),
        None if error.is::<ConfigError>() => Exit::Config.code(),
        None => match error.downcast_ref() {
            Some(StoreError::Locked { .. }) => Exit::Locked.code(),
            Some(_) => Exit::State.code(),
            None => Exit::Failed.code(),
        },
    }
}

fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let Arguments { common, verb } = arguments;
    let colour = output::colour(common.color);
    match verb {
        Verb::Check => verbs::check(&common, colour),
        Verb::Plan(plan) if plan.refresh => {
            on_runtime(verbs::plan_refreshed(&common, &plan, colour))
        }
        Verb::Plan(plan) => verbs::plan(&common, &plan, colour),
        Verb::Apply(apply) => on_runtime(verbs::apply(&common, &apply, colour)),
        Verb::Run(run) if run.dry_run => verbs::plan(&common, &run.as_plan(), colour),
        Verb::Run(run) => on_runtime(verbs::run(&common, &run, colour)),
        Verb::Approve(approve) => approve::approve(&common, &approve),
        Verb::Adopt(adopt) if adopt.from_target => {
            on_runtime(survey::adopt_from_target(&common, &adopt, colour))
        }
        Verb::Adopt(adopt) => verbs::adopt(&common, &adopt, colour),
        Verb::Drift(drift) => on_runtime(survey::drift(&common, &drift, colour)),
        Verb::Status(status) => verbs::status(&common, &status),
        Verb::Quarantine(quarantine) => holds::quarantine(&common, &quarantine),
        Verb::Hold(hold) => holds::hold(&common, &hold),
        Verb::Release(release) => holds::release(&common, &release),
        Verb::Backup(backup) => state_verbs::backup(&common, &backup),
        Verb::Restore(restore) => state_verbs::restore(&common, &restore),
        Verb::Resnapshot(renew) => state_verbs::resnapshot(&common, &renew),
        Verb::Audit { verb } => state_verbs::audit(&common, &verb),
        Verb::State { verb } => state_verbs::state(&common, &verb),
        Verb::Probe(wish) => on_runtime(probe::probe(&common, &wish)),
        Verb::Daemon => on_runtime(serve::daemon(&common)),
        Verb::Sandbox(sandbox) => on_runtime(rehearse::sandbox(&common, &sandbox)),
        Verb::Demo(demo) => on_runtime(demo::demo(&demo, colour)),
        Verb::Config => {
            write_stdout(crate::config::EXAMPLE);
            Ok(Ended::Exit(Exit::Done))
        }
    }
}

fn on_runtime<F>(work: F) -> anyhow::Result<Ended>
where
    F: Future<Output = anyhow::Result<Ended>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(work);
    // What is under way still is a name that nobody resolves, at most.
    runtime.shutdown_background();
    ended
}
