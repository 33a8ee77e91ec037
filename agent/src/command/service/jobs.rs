//! `agent jobs`, `cancel`, `retry` and `approve`.

use protocol::service::{self, AttemptState, Job, JobSummary, Pipeline, path};

use super::super::CommandError;
use super::super::printing::{aligned, print};
use super::{client, print_json, show, wait};
use crate::cli::{Approve, Cancel, Jobs, Retry, Which};
use crate::clock::unix_ms;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::sanitise;

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

/// Stops jobs.
pub fn cancel(arguments: &Cancel, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let address = address(&arguments.which, path::JOB_CANCEL, path::PIPELINE_CANCEL);
    wait(async {
        client.tell(&address, None::<&()>).await?;
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
        Ok(ExitCode::Success)
    })
}

/// Lets a job or a pipeline run.
pub fn approve(arguments: &Approve, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let address = address(&arguments.which, path::JOB_APPROVE, path::PIPELINE_APPROVE);
    wait(async {
        client.tell(&address, None::<&()>).await?;
        Ok(ExitCode::Success)
    })
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
        show::state(summary)
    );
    for (name, value) in &job.outputs {
        text += &format!("output {}: {}\n", sanitise(name), sanitise(value));
    }
    for attempt in &job.attempts {
        let state = match (attempt.state, attempt.conclusion) {
            (_, Some(conclusion)) => show::conclusion(conclusion),
            (AttemptState::Running, None) => "running",
            (AttemptState::Finished, None) => "finished",
            (AttemptState::Released, None) => "given back",
            (AttemptState::Lost, None) => "lost: nothing was heard of its agent",
        };
        text += &format!(
            "attempt {} by agent {}: {state} {}\n",
            attempt.attempt,
            attempt.agent,
            show::took(Some(attempt.started_at), attempt.finished_at, now)
        );
    }
    text
}
