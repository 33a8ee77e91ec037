//! The parent's side: starts a child, hears it, and ends it.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::message::{LONGEST_LINE, Line, Request, printable};
use super::patience::Patience;
use super::{Transport, authorities};
use crate::{Error, Url, Watch};

/// How often the watch is asked whether to go on.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// How long a child that has closed its output may take to be over.
const ENDING: Duration = Duration::from_secs(1);

/// How much is kept of what it complains about, bytes.
const COMPLAINTS: usize = 1 << 10;

/// What the child has of this process's environment: its user's files, proxies, and what a loader needs. Whatever else is
/// in there may be a secret.
const KEPT: [&str; 14] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "PATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

impl Transport {
    /// Makes one transfer into a mirror that the caller has locked. Answers the host's default branch where it tells one.
    ///
    /// # Errors
    /// What the host says, or [`Error::Stopped`], or [`Error::Slow`] and [`Error::TooMuch`] beyond its bounds.
    pub(crate) fn run(
        &self,
        mirror: &Path,
        request: &Request,
        watch: &dyn Watch,
    ) -> Result<Option<String>, Error> {
        let url = &request.url;
        let failed = |what: &str, error: &dyn std::fmt::Display| Error::Process {
            url: url.to_string(),
            message: format!("failed to {what}: {error}"),
        };
        if !watch.goes_on() {
            return Err(Error::Stopped);
        }
        let text = serde_json::to_vec(request)
            .map_err(|error| failed("tell git's process what to do", &error))?;
        let mut process = self
            .start(mirror, url, &text)
            .map_err(|error| failed("start git's process", &error))?;
        let bounds = self.bounds;
        let started = Instant::now();
        let mut patience = Patience::new(bounds.silence, started);
        loop {
            if !watch.goes_on() {
                return Err(Error::Stopped);
            }
            let now = Instant::now();
            if patience.is_over(now) {
                return Err(silent(url, bounds.silence));
            }
            if now.saturating_duration_since(started) >= bounds.longest {
                return Err(slow(url, bounds.longest));
            }
            let heard = process
                .hear()
                .map_err(|error| failed("hear git's process", &error))?;
            while let Some(line) = process.line() {
                let line = line.map_err(|error| failed("understand git's process", &error))?;
                match line {
                    Line::Heard {} => patience.heard(Instant::now()),
                    Line::Received {
                        bytes,
                        objects,
                        of,
                        indexed,
                    } => {
                        patience.received(bytes, indexed, objects >= of, Instant::now());
                        if bytes > bounds.bytes {
                            return Err(bounds.too_much(url));
                        }
                        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
                        if !watch.received(bytes, count(objects), count(of)) {
                            return Err(Error::Stopped);
                        }
                    }
                    Line::Done { branch } => return Ok(branch),
                    Line::Failed { kind, message } => return Err(kind.into_error(url, &message)),
                }
            }
            if !heard {
                return Err(Error::Process {
                    url: url.to_string(),
                    message: process.last_words(),
                });
            }
        }
    }

    fn start(&self, mirror: &Path, url: &Url, request: &[u8]) -> io::Result<Process> {
        let mut command = (self.command)();
        let set: Vec<(OsString, Option<OsString>)> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
            .collect();
        command.env_clear();
        for name in KEPT {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        authorities::tell(&mut command, url);
        for (name, value) in set {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .current_dir(mirror)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // What a terminal sends to this process is this process's to pass on.
            .process_group(0)
            .spawn()?;
        let mut process = Process {
            child,
            output: None,
            errors: None,
            unread: Vec::new(),
            complaints: Vec::new(),
        };
        process.output = process.child.stdout.take();
        process.errors = process.child.stderr.take();
        if let Some(mut input) = process.child.stdin.take() {
            match input.write_all(request) {
                // It says why by itself, or how it ended does.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                other => other?,
            }
        }
        Ok(process)
    }
}

fn silent(url: &Url, bound: Duration) -> Error {
    Error::Slow {
        url: url.to_string(),
        message: format!(
            "{} has sent nothing, or next to nothing, for {bound:?}",
            place(url)
        ),
    }
}

fn slow(url: &Url, bound: Duration) -> Error {
    Error::Slow {
        url: url.to_string(),
        message: format!("{} has not sent everything in {bound:?}", place(url)),
    }
}

fn place(url: &Url) -> &str {
    match url.host() {
        "" => "the directory",
        host => host,
    }
}

/// A child. Dropping it kills it and waits for its end.
struct Process {
    child: Child,
    /// Until their ends.
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    /// What has been read of its output and is not a whole line yet.
    unread: Vec<u8>,
    /// The end of what it has said on standard error.
    complaints: Vec<u8>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for one that is over and has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Reads what there is, and waits for a moment when there is nothing. `false` when nothing more comes.
    fn hear(&mut self) -> io::Result<bool> {
        let output = self.output.as_ref().map(AsFd::as_fd);
        let errors = self.errors.as_ref().map(AsFd::as_fd);
        let all = [output, errors].into_iter().flatten();
        let mut all: Vec<PollFd<'_>> = all
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        match poll(&mut all, Some(&LOOK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = all.iter().map(|it| !it.revents().is_empty()).collect();
        let mut is_ready = is_ready.into_iter();
        if self.output.is_some() && is_ready.next() == Some(true) {
            let is_open = read(&mut self.output, &mut self.unread)?;
            if !is_open {
                self.output = None;
            }
        }
        if self.errors.is_some() && is_ready.next() == Some(true) {
            if !read(&mut self.errors, &mut self.complaints)? {
                self.errors = None;
            }
            let surplus = self.complaints.len().saturating_sub(COMPLAINTS);
            self.complaints.drain(..surplus);
        }
        Ok(self.output.is_some())
    }

    /// The next whole line.
    fn line(&mut self) -> Option<io::Result<Line>> {
        let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') else {
            let is_too_long = self.unread.len() > LONGEST_LINE;
            return is_too_long.then(|| Err(io::Error::other("it says too much at once")));
        };
        let line: Vec<u8> = self.unread.drain(..=end).collect();
        Some(serde_json::from_slice(&line).map_err(io::Error::from))
    }

    /// How it has ended that did not say so, for a person.
    fn last_words(&mut self) -> String {
        let started = Instant::now();
        let mut status: Option<ExitStatus> = None;
        while status.is_none() && started.elapsed() < ENDING {
            // Whoever has closed its output is about to be over; what it still complains about is heard here.
            if self.errors.is_some() {
                let _ = self.hear();
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
            status = self.child.try_wait().ok().flatten();
        }
        while self.errors.is_some() && started.elapsed() < ENDING {
            let _ = self.hear();
        }
        let how = status.map_or_else(|| "it does not end".to_owned(), |status| status.to_string());
        let words = printable(&String::from_utf8_lossy(&self.complaints));
        match words.is_empty() {
            true => format!("git's process ended before its work: {how}"),
            false => format!("git's process ended before its work: {how}: {words}"),
        }
    }
}

/// Reads once. `false` at the end.
fn read(from: &mut Option<impl Read>, to: &mut Vec<u8>) -> io::Result<bool> {
    let Some(from) = from else {
        return Ok(false);
    };
    let mut piece = [0; 8 << 10];
    match from.read(&mut piece) {
        Ok(0) => Ok(false),
        Ok(count) => {
            to.extend_from_slice(&piece[..count]);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) => Err(error),
    }
}
