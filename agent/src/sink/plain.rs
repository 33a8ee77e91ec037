//! The human sink: headers and footers around the steps' own bytes, a summary at the end.
//!
//! Works for a pipe, a file and, with [`super::Terminal`] around it, for a terminal.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::Arc;

use protocol::{Conclusion, Event, WorkspaceMode};

use super::prefix::Prefixer;
use super::style::Tone;
use super::summary::Summary;
use super::{Layout, Sink, Style, duration, sanitise, wording};
use crate::log::{Chunk, RunDirectory};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Everything.
    Full,
    /// Failures, warnings and the summary.
    Quiet,
}

/// Formats a run for people.
#[derive(Debug)]
pub struct Plain {
    layout: Layout,
    style: Style,
    verbosity: Verbosity,
    /// For each running step with prefixed lines, by job and step.
    prefixers: HashMap<(String, String), Prefixer>,
    /// What was written last did not end its line.
    open_line: bool,
    summary: Summary,
}

impl Plain {
    /// A sink for one run, whose logs are in `logs`.
    #[must_use]
    pub fn new(
        layout: Layout,
        style: Style,
        verbosity: Verbosity,
        logs: Arc<RunDirectory>,
    ) -> Self {
        Self {
            layout,
            style,
            verbosity,
            prefixers: HashMap::new(),
            open_line: false,
            summary: Summary::new(logs),
        }
    }

    /// Whether the cursor is somewhere in a line of a step's output.
    pub(super) const fn has_open_line(&self) -> bool {
        self.open_line
    }

    /// What is put in front of a step's lines, when lines are told apart at all.
    fn prefix(&self, job: &str, step: &str) -> Option<String> {
        match self.layout {
            Layout::Raw => None,
            Layout::Jobs => Some(format!("[{}] ", sanitise(job))),
            Layout::Steps => Some(format!("[{}/{}] ", sanitise(job), sanitise(step))),
        }
    }

    /// A step's header or footer. Names the step in full where no prefix says the job.
    fn mark(&self, job: &str, step: &str, arrow: &str, tone: Tone) -> String {
        let job = sanitise(job);
        let step = sanitise(step);
        let style = self.style;
        match self.layout {
            Layout::Raw => style
                .paint(tone, format_args!("{arrow} {job} / {step}"))
                .to_string(),
            Layout::Jobs | Layout::Steps => {
                format!(
                    "[{job}] {}",
                    style.paint(tone, format_args!("{arrow} {step}"))
                )
            }
        }
    }

    /// Writes a line of our own, below a line of a step's that was left open.
    fn line(&mut self, line: impl Display, out: &mut dyn Write) -> io::Result<()> {
        self.close_line(out)?;
        writeln!(out, "{line}")
    }

    fn close_line(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::take(&mut self.open_line) {
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn step_started(
        &mut self,
        (job, step): (&str, &str),
        image: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        if let Some(prefix) = self.prefix(job, step) {
            self.prefixers
                .insert((job.to_owned(), step.to_owned()), Prefixer::new(prefix));
        }
        let mark = self.mark(job, step, "==>", Tone::Heading);
        self.line(format_args!("{mark} ({})", sanitise(image)), out)
    }

    fn service_started(
        &mut self,
        (job, service): (&str, &str),
        image: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        let mark = self.mark(job, &wording::service(service), "==>", Tone::Heading);
        self.line(format_args!("{mark} ({})", sanitise(image)), out)
    }

    fn service_ready(
        &mut self,
        (job, service): (&str, &str),
        duration_ms: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        let mark = self.mark(job, &wording::service(service), "===", Tone::Quiet);
        self.line(
            format_args!("{mark}: ready ({})", duration(duration_ms)),
            out,
        )
    }

    fn finished(&mut self, end: &End<'_>, out: &mut dyn Write) -> io::Result<()> {
        let prefixer = self
            .prefixers
            .remove(&(end.job.to_owned(), end.step.unwrap_or("").to_owned()));
        if let Some(mut prefixer) = prefixer {
            prefixer.finish(out)?;
        }
        let (word, tone) = wording::conclusion(end.conclusion, end.allowed);
        let failed = matches!(end.conclusion, Conclusion::Failure | Conclusion::Error);
        if self.verbosity == Verbosity::Quiet && !failed {
            return Ok(());
        }
        let mark = match end.step {
            Some(step) => self.mark(end.job, step, "<==", Tone::Quiet),
            None => self
                .style
                .paint(Tone::Quiet, format_args!("<== {}", sanitise(end.job)))
                .to_string(),
        };
        let mut text = format!("{mark}: {}", self.style.paint(tone, word));
        if let Some(cause) = end.cause.and_then(wording::cause) {
            text.push_str(", ");
            text.push_str(&cause);
        }
        if end.conclusion != Conclusion::Skipped {
            text.push_str(&format!(" ({})", duration(end.duration_ms)));
        }
        self.line(text, out)
    }

    fn run_started(&mut self, event: &RunStarted<'_>, out: &mut dyn Write) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        let workspace = event.workspace.map(|workspace| match workspace {
            WorkspaceMode::Overlay => {
                "an overlay of the working tree; what steps write never reaches it"
            }
            WorkspaceMode::InPlace => "the working tree itself; steps can change it",
        });
        let network = event.network.map(|network| match network {
            "host" => "this machine's; steps reach whatever it reaches",
            "none" => "none; steps reach nothing but themselves",
            "private" => "private; steps reach what this machine reaches, but not this machine",
            "mixed" => "of each step's own kind",
            other => other,
        });
        match event.pipeline {
            Some(name) => writeln!(out, "run {} of `{}`", event.id, sanitise(name))?,
            None => writeln!(out, "run {}", event.id)?,
        }
        if let Some(workspace) = workspace {
            writeln!(out, "workspace: {workspace}")?;
        }
        if let Some(network) = network {
            writeln!(out, "network: {network}")?;
        }
        Ok(())
    }
}

/// What is worth a line at the start.
struct RunStarted<'a> {
    id: &'a str,
    pipeline: Option<&'a str>,
    workspace: Option<WorkspaceMode>,
    network: Option<&'a str>,
}

/// The end of a step, or of a job that says more than its steps.
struct End<'a> {
    job: &'a str,
    step: Option<&'a str>,
    conclusion: Conclusion,
    cause: Option<&'a protocol::Cause>,
    allowed: bool,
    duration_ms: u64,
}

impl Sink for Plain {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        self.summary.note(event);
        match event {
            Event::RunStarted {
                id,
                pipeline,
                workspace,
                network,
                ..
            } => self.run_started(
                &RunStarted {
                    id,
                    pipeline: pipeline.as_deref(),
                    workspace: *workspace,
                    network: network.as_deref(),
                },
                out,
            ),
            Event::ImageReady {
                image,
                digest,
                pulled_bytes,
                duration_ms,
            } if *pulled_bytes > 0 && self.verbosity == Verbosity::Full => {
                let image = sanitise(image);
                let size = wording::size(*pulled_bytes);
                let digest = digest
                    .as_deref()
                    .map_or_else(String::new, |digest| format!(" ({digest})"));
                let time = duration(*duration_ms);
                self.line(
                    format_args!("image {image}{digest}: {size} pulled in {time}"),
                    out,
                )
            }
            Event::StepStarted {
                job, step, image, ..
            } => self.step_started((job, step), image, out),
            Event::ServiceStarted {
                job,
                service,
                image,
                ..
            } => self.service_started((job, service), image, out),
            Event::PortPublished {
                job,
                service,
                port,
                protocol,
                host,
                host_port,
            } if self.verbosity == Verbosity::Full => {
                let mark = self.mark(job, &wording::service(service), "===", Tone::Quiet);
                let place = wording::published(*port, *protocol, host, *host_port);
                self.line(format_args!("{mark}: {place}"), out)
            }
            Event::ServiceReady {
                job,
                service,
                duration_ms,
            } => self.service_ready((job, service), *duration_ms, out),
            Event::ServiceFinished {
                job,
                service,
                conclusion,
                cause,
                duration_ms,
                ..
            } => self.finished(
                &End {
                    job,
                    step: Some(&wording::service(service)),
                    conclusion: *conclusion,
                    cause: cause.as_ref(),
                    allowed: false,
                    duration_ms: *duration_ms,
                },
                out,
            ),
            // For whoever records it.
            Event::NetworkReached { .. } => Ok(()),
            Event::NetworkRefused {
                job,
                step,
                host,
                port,
                protocol,
                reason,
            } => {
                let mark = self.mark(job, step, "=!=", Tone::Warning);
                let refusal = wording::refusal(host, *port, *protocol, reason);
                self.line(format_args!("{mark}: {refusal}"), out)
            }
            Event::StepRetrying {
                job,
                step,
                attempt,
                attempts,
                cause,
                delay_ms,
            } => {
                let why = cause.as_ref().and_then(wording::cause);
                let why = why.map_or_else(String::new, |why| format!(", {why}"));
                let next = format!("failed{why}; attempt {attempt} of {attempts}");
                let next = match delay_ms {
                    0 => next,
                    _ => format!("{next} in {}", duration(*delay_ms)),
                };
                let mark = self.mark(job, step, "<=>", Tone::Warning);
                self.line(format_args!("{mark}: {next}"), out)
            }
            Event::StepFinished {
                job,
                step,
                conclusion,
                cause,
                allowed,
                duration_ms,
                ..
            } => self.finished(
                &End {
                    job,
                    step: Some(step),
                    conclusion: *conclusion,
                    cause: cause.as_ref(),
                    allowed: *allowed,
                    duration_ms: *duration_ms,
                },
                out,
            ),
            Event::ArtifactKept {
                job,
                artifact,
                files,
                size,
                path,
                ..
            } if self.verbosity == Verbosity::Full => {
                let mark = self.mark(job, &format!("artifact {artifact}"), "===", Tone::Quiet);
                let size = wording::size(*size);
                let path = path
                    .as_deref()
                    .map_or_else(String::new, |path| format!(", in {}", sanitise(path)));
                let files = wording::files(*files);
                self.line(format_args!("{mark}: {files}, {size}{path}"), out)
            }
            Event::CacheRestored { job, key, .. }
            | Event::CacheMissed { job, key }
            | Event::CacheSaved { job, key, .. }
                if self.verbosity == Verbosity::Full =>
            {
                let mark = self.mark(job, &format!("cache {key}"), "===", Tone::Quiet);
                let news = wording::cache(event);
                self.line(format_args!("{mark}: {}", sanitise(&news)), out)
            }
            Event::JobFinished {
                job,
                conclusion,
                cause,
                allowed,
                duration_ms,
            } if cause.is_some() || *allowed => self.finished(
                &End {
                    job,
                    step: None,
                    conclusion: *conclusion,
                    cause: cause.as_ref(),
                    allowed: *allowed,
                    duration_ms: *duration_ms,
                },
                out,
            ),
            Event::JobWaiting { job, reason } => {
                let job = format!("... {}", sanitise(job));
                let mark = self.style.paint(Tone::Quiet, job);
                self.line(format_args!("{mark}: {}", sanitise(reason)), out)
            }
            Event::Warning { message } => {
                let label = self.style.paint(Tone::Warning, "warning:");
                self.line(format_args!("{label} {}", sanitise(message)), out)
            }
            Event::RunFinished {
                conclusion,
                duration_ms,
            } => {
                self.close_line(out)?;
                if self.verbosity == Verbosity::Full {
                    out.write_all(b"\n")?;
                }
                self.summary.write(self.style, out)?;
                let (word, tone) = wording::conclusion(*conclusion, false);
                let word = self.style.paint(tone, word);
                writeln!(out, "\nrun: {word} ({})", duration(*duration_ms))
            }
            Event::ImageStarted { .. }
            | Event::ImageReady { .. }
            | Event::JobStarted { .. }
            | Event::JobFinished { .. }
            | Event::PortPublished { .. }
            | Event::ArtifactKept { .. }
            | Event::CacheRestored { .. }
            | Event::CacheMissed { .. }
            | Event::CacheSaved { .. }
            | Event::Log { .. } => Ok(()),
        }
    }

    fn log(&mut self, chunk: &Chunk, out: &mut dyn Write) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        if self.layout == Layout::Raw {
            self.open_line = !chunk.bytes.ends_with(b"\n");
            return out.write_all(&chunk.bytes);
        }
        let key = (chunk.step.job.clone(), chunk.step.step.clone());
        match self.prefixers.get_mut(&key) {
            Some(prefixer) => prefixer.push(&chunk.bytes, out),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
