//! The live line at the bottom of a terminal: what is running, for how long, and how much is done.

use protocol::{Cause, Event};
use unicode_width::UnicodeWidthChar as _;

use super::{duration, sanitise, wording};

/// What is going on at the moment.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// Jobs of the run, and those of them that are over.
    jobs: usize,
    finished: usize,
    /// Images on their way: reference, bytes so far, bytes in all.
    images: Vec<(String, u64, Option<u64>)>,
    /// Running steps, and services that are not ready yet: job, step, start in Unix milliseconds.
    steps: Vec<(String, String, u64)>,
}

impl Status {
    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::RunStarted { jobs, .. } => self.jobs = jobs.len(),
            Event::ImageStarted { image } => self.images.push((image.clone(), 0, None)),
            Event::ImageReady { image, .. } => self.images.retain(|(other, ..)| other != image),
            Event::StepStarted { job, step, at, .. } => {
                self.steps.push((job.clone(), step.clone(), *at));
            }
            Event::ServiceStarted {
                job, service, at, ..
            } => {
                let service = wording::service(service);
                self.steps.push((job.clone(), service, *at));
            }
            Event::ServiceReady { job, service, .. } => {
                self.over(job, &wording::service(service), None);
            }
            Event::ServiceFinished {
                job,
                service,
                cause,
                ..
            } => self.over(job, &wording::service(service), cause.as_ref()),
            Event::StepFinished {
                job, step, cause, ..
            } => self.over(job, step, cause.as_ref()),
            Event::JobFinished { .. } => self.finished += 1,
            Event::RunFinished { .. } => *self = Self::default(),
            _ => {}
        }
    }

    /// Nobody waits for this any more.
    fn over(&mut self, job: &str, step: &str, cause: Option<&Cause>) {
        self.steps
            .retain(|(other, name, _)| (other.as_str(), name.as_str()) != (job, step));
        if matches!(cause, Some(Cause::Image { .. })) {
            self.images.clear();
        }
    }

    pub(super) fn progress(&mut self, image: &str, received: u64, total: Option<u64>) {
        for (other, so_far, all) in &mut self.images {
            if other == image {
                (*so_far, *all) = (received, total);
            }
        }
    }

    /// The line, at most `width` columns wide; `None` when nothing is going on.
    pub(super) fn line(&self, now: u64, width: usize) -> Option<String> {
        let mut parts = Vec::new();
        for (image, received, total) in &self.images {
            let image = sanitise(image);
            parts.push(match (received, total) {
                (0, None) => format!("image {image}"),
                (received, None) => format!("image {image} {}", wording::size(*received)),
                (received, Some(total)) => format!(
                    "image {image} {} of {}",
                    wording::size(*received),
                    wording::size(*total)
                ),
            });
        }
        for (job, step, start) in &self.steps {
            let elapsed = duration(now.saturating_sub(*start) / 1000 * 1000);
            let (job, step) = (sanitise(job), sanitise(step));
            parts.push(format!("{job} / {step} {elapsed}"));
        }
        if parts.is_empty() {
            return None;
        }
        let mut line = parts.join(", ");
        if self.jobs > 1 {
            line.insert_str(0, &format!("[{}/{} jobs] ", self.finished, self.jobs));
        }
        Some(fit(&line, width))
    }
}

/// The longest beginning of `line` that takes at most `width` columns.
fn fit(line: &str, width: usize) -> String {
    let mut columns = 0;
    line.chars()
        .take_while(|character| {
            columns += character.width().unwrap_or(0);
            columns <= width
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use protocol::Event;

    use super::{Status, fit};

    #[test]
    fn running_steps_and_images_are_named() {
        let mut status = Status::default();
        assert_eq!(status.line(0, 80), None);
        status.note(&Event::ImageStarted {
            image: "debian:bookworm".to_owned(),
        });
        status.progress("debian:bookworm", 5 << 20, Some(10 << 20));
        status.note(&Event::StepStarted {
            job: "build".to_owned(),
            step: "make".to_owned(),
            index: 0,
            image: "host".to_owned(),
            at: 1000,
        });
        insta::assert_snapshot!(
            status.line(63_500, 80).unwrap(),
            @"image debian:bookworm 5.0 MiB of 10.0 MiB, build / make 1m02s"
        );
    }

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(fit("größe", 3), "grö");
        assert_eq!(fit("漢字", 3), "漢");
        assert_eq!(fit("", 0), "");
    }
}
