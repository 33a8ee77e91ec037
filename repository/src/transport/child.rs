//! The child's side: one transfer by libgit2.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write};
use std::time::{Duration, Instant};

use git2::{
    CertificateCheckStatus, FetchOptions, Progress, ProxyOptions, RemoteCallbacks, RemoteRedirect,
    Repository,
};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

use super::message::{LONGEST_REQUEST, Line, Request};
use crate::credentials::{ELSEWHERE, answer, are_secret};
use crate::{Error, Scheme, place};

/// How often it tells how far it is.
const RHYTHM: Duration = Duration::from_millis(100);

/// Makes the one transfer that standard input says, into the mirror that is the working directory, and tells of it on
/// standard output. To be called by a program that does nothing else.
///
/// # Errors
/// There is no request, or nobody to tell. What goes wrong with the transfer is told instead.
pub fn serve() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .take(LONGEST_REQUEST)
        .read_to_end(&mut text)?;
    let request: Request = serde_json::from_slice(&text)?;
    drop(text);
    die_with(request.parent)?;
    limit(request.bounds.memory)?;
    let teller = RefCell::new(Teller {
        output: io::stdout().lock(),
        told: None,
    });
    let line = match transfer(&request, &teller) {
        Ok(branch) => Line::Done { branch },
        Err(error) => Line::of(&error),
    };
    teller.borrow_mut().say(&line)
}

/// Has the kernel end this process with the one that waits for it.
fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may be gone already.
    let is_there = getppid().is_some_and(|id| u32::try_from(Pid::as_raw_pid(id)) == Ok(parent));
    match is_there {
        true => Ok(()),
        false => Err(io::Error::other("whoever wants this transfer is gone")),
    }
}

/// What hosts send is unfolded within this, and what is in this process is in no core file.
fn limit(memory: u64) -> io::Result<()> {
    let at_most = |bound| Rlimit {
        current: Some(bound),
        maximum: Some(bound),
    };
    setrlimit(Resource::Core, at_most(0))?;
    let allowed = getrlimit(Resource::Data).maximum;
    let memory = allowed.map_or(memory, |allowed| allowed.min(memory));
    setrlimit(Resource::Data, at_most(memory))?;
    Ok(())
}

/// Writes lines, and not too many.
struct Teller<W> {
    output: W,
    told: Option<Instant>,
}

impl<W: Write> Teller<W> {
    fn say(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.output.write_all(&text)?;
        self.output.flush()
    }

    /// Says how far it is, unless it has just done so. Whether anybody listens.
    fn mention(&mut self, line: impl FnOnce() -> Line) -> bool {
        if self.told.is_some_and(|told| told.elapsed() < RHYTHM) {
            return true;
        }
        self.told = Some(Instant::now());
        self.say(&line()).is_ok()
    }
}

/// Fetches what the refspecs say. What a refspec names and the host lacks is passed over. Answers the host's default branch
/// where it tells one.
fn transfer(
    request: &Request,
    teller: &RefCell<Teller<impl Write>>,
) -> Result<Option<String>, Error> {
    let url = &request.url;
    let failed = |error: git2::Error| Error::of_remote(url, &error);
    let damaged = |error: git2::Error| Error::Damaged {
        url: url.to_string(),
        message: error.message().to_owned(),
    };
    check_machine(request, url.host()).map_err(|error| Error::of_remote(url, &error))?;
    let repository = Repository::open_bare(".").map_err(damaged)?;
    let mut remote = repository.remote_anonymous(&url.to_git()).map_err(failed)?;
    // What the environment says, as everybody's git does.
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    let came = Cell::new(0);
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks(request, teller, &came))
        .proxy_options(proxy)
        .download_tags(git2::AutotagOption::None)
        .update_fetchhead(false)
        // A forge that has moved a repository says so at the first request.
        .follow_redirects(RemoteRedirect::Initial);
    // Directories have no shallow transfers in libgit2.
    match request.depth.filter(|_| url.scheme() != Scheme::File) {
        Some(depth) => options.depth(i32::try_from(depth).unwrap_or(i32::MAX)),
        // The number by which git itself says "all of it", where some is missing.
        None if repository.is_shallow() => options.depth(i32::MAX),
        None => &mut options,
    };
    remote
        .fetch(&request.refspecs, Some(&mut options), None)
        .map_err(|error| match came.get() > request.bounds.bytes {
            true => request.bounds.too_much(url),
            false => failed(error),
        })?;
    let branch = remote.default_branch().ok();
    Ok(branch.and_then(|name| name.as_str().ok().map(str::to_owned)))
}

fn callbacks<'c>(
    request: &'c Request,
    teller: &'c RefCell<Teller<impl Write>>,
    came: &'c Cell<u64>,
) -> RemoteCallbacks<'c> {
    let mut callbacks = RemoteCallbacks::new();
    answer(&mut callbacks, &request.url, &request.credentials);
    callbacks
        .transfer_progress(|progress| {
            came.set(progress.received_bytes() as u64);
            came.get() <= request.bounds.bytes
                && teller.borrow_mut().mention(|| received(&progress))
        })
        .sideband_progress(|_| teller.borrow_mut().mention(|| Line::Heard {}));
    let known = request.known_hosts.as_ref();
    let known = known.filter(|_| request.url.scheme() == Scheme::Ssh);
    callbacks.certificate_check(move |certificate, host| match known {
        Some(known) => known.check(&request.url, certificate),
        None => {
            // Also of a host that the first one has redirected to; with http nothing but this machine's could be.
            check_machine(request, host)?;
            check_host(request, host)?;
            // TLS by the machine's authorities, SSH by the user's known hosts: libgit2 has looked already.
            Ok(CertificateCheckStatus::CertificatePassthrough)
        }
    });
    callbacks
}

/// Refuses hosts that are this machine, where that is not allowed.
fn check_machine(request: &Request, host: &str) -> Result<(), git2::Error> {
    if request.url.may_be_this_machine() || !place::stands_for_this_machine(host) {
        return Ok(());
    }
    let message = "it is a server of this machine itself, which is not allowed here";
    Err(git2::Error::new(
        git2::ErrorCode::Certificate,
        git2::ErrorClass::Net,
        message,
    ))
}

/// Refuses to go on to another host with what is the first one's: libgit2 would show it what it has shown before.
fn check_host(request: &Request, host: &str) -> Result<(), git2::Error> {
    if host.eq_ignore_ascii_case(request.url.host())
        || !are_secret(&request.url, &request.credentials)
    {
        return Ok(());
    }
    let (code, class) = (git2::ErrorCode::Auth, git2::ErrorClass::Net);
    Err(git2::Error::new(code, class, ELSEWHERE))
}

fn received(progress: &Progress<'_>) -> Line {
    Line::Received {
        bytes: progress.received_bytes() as u64,
        objects: progress.received_objects() as u64,
        of: progress.total_objects() as u64,
        indexed: (progress.indexed_objects() + progress.indexed_deltas()) as u64,
    }
}
