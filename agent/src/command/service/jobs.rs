//! `agent jobs`, `cancel`, `retry` and `approve`.

use protocol::service::{
    self, Job, JobState, JobSummary, Pipeline, PipelineState, PipelineSummary, path,
};

use super::super::CommandError;
use super::super::printing::{aligned, print};
use super::{client, nothing, print_json, show, wait};
use crate::cli::{Approve, Cancel, Jobs, Retry, Which};
use crate::clock::unix_ms;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;
use crate::sink::sanitise;
use crate::source::{CallError, Client};

/// Lists jobs, or shows one.
pub fn jobs(arguments: &Jobs, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    wait(async {
        if let Some(id) = arguments.job {
            let job: Job = client.get(&path::of_job(path::JOB, id)).await?;
            match arguments.json {
                true => print_json(&job)?,
                false => print(&one(&job))?,
            }
            return Ok(ExitCode::Success);
        }
        if let Some(id) = arguments.pipeline {
            let pipeline: Pipeline = client.get(&path::of_pipeline(path::PIPELINE, id)).await?;
            match arguments.json {
                true => print_json(&pipeline)?,
                false if pipeline.jobs.is_empty() => {
                    let _ = nothing::told(&pipeline);
                }
                false => print(&table(&pipeline.jobs))?,
            }
            return Ok(ExitCode::Success);
        }
        let page: service::Jobs = client.get(path::JOBS).await?;
        match arguments.json {
            true => print_json(&page)?,
            false => print(&table(&page.jobs))?,
        }
        Ok(ExitCode::Success)
    })
}

/// Stops jobs, and says what there was to stop.
pub fn cancel(arguments: &Cancel, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let address = address(&arguments.which, path::JOB_CANCEL, path::PIPELINE_CANCEL);
    wait(async {
        let before = look(&client, &arguments.which).await?;
        client.tell(&address, None::<&()>).await?;
        if let Some(ended) = before.ended() {
            complain(format_args!("{} is over: {ended}", before.named()));
            return Ok(ExitCode::Success);
        }
        // What was asked for is done, whatever comes of this.
        if let Ok(after) = look(&client, &arguments.which).await {
            match after.ended() {
                Some(ended) => complain(format_args!("{}: {ended}", after.named())),
                None => complain(format_args!(
                    "{} is asked to end; once more kills it",
                    after.named()
                )),
            }
        }
        Ok(ExitCode::Success)
    })
}

/// Runs jobs again.
pub fn retry(arguments: &Retry, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let address = address(&arguments.which, path::JOB_RETRY, path::PIPELINE_RETRY);
    let retry = service::Retry { all: arguments.all };
    wait(async {
        client.tell(&address, Some(&retry)).await?;
        // What was asked for is done, whatever comes of this.
        if let Ok(after) = look(&client, &arguments.which).await {
            complain(format_args!(
                "{} is to run again: {}",
                after.named(),
                after.state()
            ));
        }
        Ok(ExitCode::Success)
    })
}

/// Lets a job or a pipeline run.
pub fn approve(arguments: &Approve, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let address = address(&arguments.which, path::JOB_APPROVE, path::PIPELINE_APPROVE);
    wait(async {
        client.tell(&address, None::<&()>).await?;
        if let Ok(after) = look(&client, &arguments.which).await {
            complain(format_args!(
                "{} is approved: {}",
                after.named(),
                after.state()
            ));
        }
        Ok(ExitCode::Success)
    })
}

/// What something was done to.
enum Looked {
    Job(Box<JobSummary>),
    Pipeline(Box<PipelineSummary>),
}

async fn look(client: &Client, which: &Which) -> Result<Looked, CallError> {
    let address = address(which, path::JOB, path::PIPELINE);
    if which.job.is_some() {
        let job: Job = client.get(&address).await?;
        return Ok(Looked::Job(Box::new(job.summary)));
    }
    let pipeline: Pipeline = client.get(&address).await?;
    Ok(Looked::Pipeline(Box::new(pipeline.summary)))
}

impl Looked {
    fn named(&self) -> String {
        match self {
            Self::Job(job) => show::named(job),
            Self::Pipeline(pipeline) => format!("pipeline {}", pipeline.id),
        }
    }

    /// How far it is.
    fn state(&self) -> String {
        match self {
            Self::Job(job) => show::state(job),
            Self::Pipeline(pipeline) => match (pipeline.state, pipeline.conclusion) {
                (PipelineState::Finished, Some(ended)) => ended.as_str().to_owned(),
                (PipelineState::Finished, None) => "finished".to_owned(),
                (PipelineState::Running, _) => "running".to_owned(),
                (PipelineState::Queued, _) => "queued".to_owned(),
            },
        }
    }

    /// The same if that is its end.
    fn ended(&self) -> Option<String> {
        let is_over = match self {
            Self::Job(job) => job.state == JobState::Finished,
            Self::Pipeline(pipeline) => pipeline.state == PipelineState::Finished,
        };
        is_over.then(|| self.state())
    }
}

fn address(which: &Which, job: &str, pipeline: &str) -> String {
    match (which.job, which.pipeline) {
        (Some(id), _) => path::of_job(job, id),
        // The command line has one of them.
        (None, id) => path::of_pipeline(pipeline, id.unwrap_or(service::PipelineId(0))),
    }
}

fn table(jobs: &[JobSummary]) -> String {
    let now = unix_ms();
    let head = ["JOB", "PIPELINE", "NAME", "STATE", "TIME", "CREATED"].map(str::to_owned);
    let rows = jobs.iter().map(|job| {
        [
            job.id.to_string(),
            job.pipeline.to_string(),
            sanitise(&job.name),
            show::state(job),
            show::took(job.started_at, job.finished_at, now),
            show::ago(job.created_at, now),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    aligned(&rows)
}

fn one(job: &Job) -> String {
    let now = unix_ms();
    let summary = &job.summary;
    let mut text = format!(
        "job {} ({}) of pipeline {}: {}\n",
        summary.id,
        sanitise(&summary.name),
        summary.pipeline,
        show::outcome(summary)
    );
    for (name, value) in &job.outputs {
        text += &format!("output {}: {}\n", sanitise(name), sanitise(value));
    }
    for attempt in &job.attempts {
        text += &format!(
            "attempt {} by agent {}: {} {}{}\n",
            attempt.attempt,
            attempt.agent,
            show::attempt(attempt),
            show::took(Some(attempt.started_at), attempt.finished_at, now),
            show::because(attempt.cause.as_ref())
        );
    }
    text
}
