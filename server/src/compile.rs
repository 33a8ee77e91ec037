//! From what a user submits to what the queue takes: the repository's commit, its pipeline, its plan.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use pipelines::plan::Plan;
use pipelines::{Inclusion, Options, Overrides, Severity, Source as Text, compile_with, render};
use protocol::Conclusion;
use protocol::service::{Problem, ProblemCode, Source, Submit, Trigger, limits};
use repository::{Allowed, CheckError, Commit, Error, Mirrors, Private, Remote, Url, Want, Watch};

use crate::config::Config;
use crate::operation::submit::Submission;
use crate::private;
use crate::scope::Scope;

/// Where a pipeline is looked for.
const FILE: &str = ".pipeline.yml";

/// The largest file that is read: the language's own limit.
const LARGEST: u64 = 1 << 20;

/// How long a repository may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Compiles submissions.
#[derive(Debug)]
pub(crate) struct Compiler {
    mirrors: Mirrors,
    allowed: Allowed,
    private: Private,
    /// Pull requests of forks wait for a person.
    fork_approval: bool,
}

/// A commit that is here.
#[derive(Debug)]
struct Found {
    remote: Remote,
    commit: Commit,
    source: Source,
    /// By which it is known.
    identity: String,
    name: String,
    /// The branch that all jobs of the repository trust, where the host has said so.
    default: Option<String>,
}

/// Ends a transfer that takes too long.
#[derive(Debug)]
struct Deadline(Instant);

impl Watch for Deadline {
    fn goes_on(&self) -> bool {
        Instant::now() < self.0
    }
}

impl Compiler {
    /// Keeps mirrors of repositories.
    ///
    /// # Errors
    /// What the configuration says of private repositories cannot be used.
    pub(crate) fn new(mirrors: Mirrors, config: &Config) -> Result<Self, CheckError> {
        let allow_local = config.allow_file_repositories;
        let allowed = Allowed {
            files: allow_local,
            plain_http: false,
            this_machine: allow_local,
        };
        config.repositories.check(allowed)?;
        Ok(Self {
            mirrors,
            allowed,
            private: config.repositories.clone(),
            fork_approval: config.fork_approval,
        })
    }

    /// Fetches and compiles. Waits for the network: to be called where that keeps nobody waiting. A pipeline that is wrong is
    /// no problem: it has failed.
    pub(crate) fn compile(&self, submit: Submit, scope: &Scope) -> Result<Submission, Problem> {
        check(&submit)?;
        let mut trigger = submit.trigger;
        let found = match &submit.repository {
            None => None,
            Some(url) => Some(self.find(url, submit.reference.as_deref(), &trigger)?),
        };
        if let Some(found) = &found {
            fill_in(&mut trigger, found);
        }
        let (repository, source) = match &found {
            None => (String::new(), None),
            Some(found) => (found.identity.clone(), Some(found.source.clone())),
        };
        let default_branch = found.as_ref().and_then(|found| found.default.clone());
        let submission = |plan, diagnostics| Submission {
            repository,
            default_branch,
            key: submit.key,
            name: None,
            source,
            trigger: trigger.clone(),
            variables: submit.variables,
            priority: submit.priority,
            needs_approval: trigger.fork && self.fork_approval,
            diagnostics,
            plan,
        };
        let text = match (submit.pipeline, &found) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(found)) => match self.read(found, FILE)? {
                Some(text) => text,
                None => {
                    let reason = format!("commit {} has no {FILE}", found.commit);
                    return Ok(submission(
                        Err((Conclusion::Failure, reason)),
                        String::new(),
                    ));
                }
            },
            (None, None) => return Err(nothing_to_run()),
        };
        let mut source = Text::new(FILE, text);
        pipelines::gather(&mut source, &mut |inclusion| {
            self.include(found.as_ref(), scope, trigger.fork, inclusion)
        });
        let options = Options {
            overrides: Overrides::default(),
            context: Some(trigger.context()),
            not_yet: Severity::Error,
            origins: false,
        };
        let compilation = compile_with(&source, &options);
        let diagnostics = render::human(&source, &compilation.diagnostics, false);
        let plan = match compilation.plan {
            None => Err((Conclusion::Failure, "the pipeline is not valid".to_owned())),
            Some(plan) => select(plan, &submit.jobs),
        };
        let name = plan.as_ref().ok().and_then(|plan| plan.name.clone());
        Ok(Submission {
            name,
            ..submission(plan, diagnostics)
        })
    }

    /// A repository's URL by which the server knows it, however it is written: without credentials, and without `.git`.
    pub(crate) fn name_of(&self, url: &str) -> Result<String, Problem> {
        self.parse(url).map(|url| url.identity())
    }

    /// A pattern for repositories as [`Scope`] has it: a URL, or what some start with and `/*`.
    pub(crate) fn pattern_of(&self, text: &str) -> Result<String, Problem> {
        match text.strip_suffix("/*") {
            None if text.contains('*') => Err(Problem::new(
                ProblemCode::Invalid,
                "`repositories`: a `*` stands at the end only, behind a `/`",
            )),
            None => self.name_of(text),
            // Below `x.git` is something else than below `x`.
            Some(start) => {
                let start = self.parse(start)?.to_string();
                Ok(format!("{}/*", start.trim_end_matches('/')))
            }
        }
    }

    fn parse(&self, url: &str) -> Result<Url, Problem> {
        Url::parse(url, self.allowed)
            .map_err(|error| Problem::new(ProblemCode::Invalid, format!("`repository`: {error}")))
    }

    /// The commit that is meant, fetched.
    fn find(
        &self,
        url: &str,
        reference: Option<&str>,
        trigger: &Trigger,
    ) -> Result<Found, Problem> {
        let url = self.parse(url)?;
        let (shown, identity) = (url.to_string(), url.identity());
        let name = url.repository_name().to_owned();
        let remote = private::remote(&self.private, url)?;
        let watch = Deadline(Instant::now() + PATIENCE);
        let (commit, reference, default) = match &trigger.commit {
            Some(commit) => {
                let commit: Commit = commit.parse().map_err(|_| {
                    Problem::new(ProblemCode::Invalid, "`commit` is no full id of a commit")
                })?;
                (commit, reference.map(str::to_owned), None)
            }
            None => {
                let wanted = reference.unwrap_or("HEAD");
                let resolved = self.mirrors.resolve(&remote, wanted, &watch);
                let resolved = resolved.map_err(|error| unavailable(&error))?;
                (resolved.commit, resolved.reference, resolved.default)
            }
        };
        let want = Want::commit(commit).seen_at(reference.clone());
        let fetched = self.mirrors.fetch(&remote, &want, &watch);
        let (_, commit) = fetched.map_err(|error| unavailable(&error))?;
        Ok(Found {
            remote,
            commit,
            source: Source {
                url: shown,
                commit: commit.to_string(),
                reference,
            },
            identity,
            name,
            default: default.and_then(|name| Some(name.strip_prefix("refs/heads/")?.to_owned())),
        })
    }

    /// A file of a commit. A mirror that is damaged, or was pruned since, is fetched to again.
    fn read(&self, found: &Found, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let (remote, commit) = (&found.remote, found.commit);
        let mirror = self.mirrors.mirror(remote);
        let read = mirror.and_then(|mirror| mirror.read_file(commit, path, LARGEST));
        let read = match read {
            Err(error) if error.is_damage() || matches!(error, Error::NoCommit { .. }) => {
                tracing::warn!(%error, "a repository is fetched again");
                let want = Want::commit(commit).seen_at(found.source.reference.clone());
                let watch = Deadline(Instant::now() + PATIENCE);
                let fetched = self.mirrors.fetch(remote, &want, &watch);
                fetched.and_then(|(mirror, commit)| mirror.read_file(commit, path, LARGEST))
            }
            other => other,
        };
        read.map_err(|error| unavailable(&error))
    }

    /// A file that a pipeline includes.
    /// Who may see some repositories only reads no others of this machine so, and no private ones: of all others, the server is shown
    /// what everybody is.
    fn include(
        &self,
        found: Option<&Found>,
        scope: &Scope,
        fork: bool,
        inclusion: &Inclusion,
    ) -> Result<Vec<u8>, String> {
        let nothing = || "there is no such file".to_owned();
        match (inclusion, found) {
            (Inclusion::Path(path), Some(found)) => self
                .read(found, path)
                .map_err(|problem| problem.message)?
                .ok_or_else(nothing),
            (Inclusion::Path(_), None) => {
                Err("there is no repository to include it from".to_owned())
            }
            (Inclusion::Git { url, commit, path }, _) => {
                let parsed = self.parse(url).map_err(|problem| problem.message)?;
                let is_for_some =
                    parsed.directory().is_some() || self.private.group(&parsed).is_some();
                if is_for_some && !scope.covers(&parsed.to_string()) {
                    return Err("your token is not for this repository".to_owned());
                }
                let by = found.map(|found| &found.remote.url);
                if !private::may_include(&self.private, &parsed, by, fork) {
                    return Err("this repository is private, and not for this pipeline".to_owned());
                }
                let trigger = Trigger {
                    commit: Some(commit.clone()),
                    ..Trigger::default()
                };
                let found = self.find(url, None, &trigger);
                let found = found.map_err(|problem| problem.message)?;
                self.read(&found, path)
                    .map_err(|problem| problem.message)?
                    .ok_or_else(nothing)
            }
        }
    }
}

fn unavailable(error: &repository::Error) -> Problem {
    Problem::new(ProblemCode::Repository, error.to_string())
}

/// What the trigger leaves open and the repository knows.
fn fill_in(trigger: &mut Trigger, found: &Found) {
    trigger.commit = Some(found.source.commit.clone());
    if trigger.repo.is_none() {
        trigger.repo = Some(found.name.clone());
    }
    let reference = found.source.reference.as_deref().unwrap_or_default();
    if trigger.branch.is_none() {
        trigger.branch = reference.strip_prefix("refs/heads/").map(str::to_owned);
    }
    if trigger.tag.is_none() {
        trigger.tag = reference.strip_prefix("refs/tags/").map(str::to_owned);
    }
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(ProblemCode::Invalid, message)
}

fn nothing_to_run() -> Problem {
    invalid("neither `repository` nor `pipeline` says what to run")
}

fn check(submit: &Submit) -> Result<(), Problem> {
    if submit.repository.is_none() && submit.pipeline.is_none() {
        return Err(nothing_to_run());
    }
    if !(-100..=100).contains(&submit.priority) {
        return Err(invalid("`priority` is from -100 to 100"));
    }
    let key = submit.key.as_ref();
    if key.is_some_and(|key| key.is_empty() || key.len() > limits::NAME || key.contains('\0')) {
        return Err(invalid(format!("`key` has 1 to {} bytes", limits::NAME)));
    }
    let overrides = Overrides {
        env: submit.variables.clone(),
        ..Overrides::default()
    };
    overrides
        .check()
        .map_err(|error| invalid(error.to_string()))?;
    let trigger = &submit.trigger;
    if trigger.fork && trigger.event != pipelines::Event::PullRequest {
        return Err(invalid("`fork` is said of a `pull_request` only"));
    }
    let texts = [&trigger.branch, &trigger.base, &trigger.tag, &trigger.repo];
    let mut texts = texts.into_iter().flatten().chain(trigger.inputs.values());
    match texts.any(|text| text.contains('\0')) {
        true => Err(invalid("a text contains a NUL character")),
        false => Ok(()),
    }
}

/// The jobs that were asked for and what they need.
fn select(mut plan: Plan, wanted: &[String]) -> Result<Plan, (Conclusion, String)> {
    if let Some(reason) = plan.not_triggered {
        return Err((Conclusion::Skipped, reason));
    }
    if wanted.is_empty() {
        return Ok(plan);
    }
    let mut kept: HashSet<String> = HashSet::new();
    let mut next = Vec::new();
    for name in wanted {
        let named = plan
            .jobs
            .iter()
            .filter(|job| job.id == *name || job.key() == name);
        let before = next.len();
        next.extend(named.map(|job| job.id.clone()));
        if next.len() == before {
            return Err((Conclusion::Failure, format!("there is no job `{name}`")));
        }
    }
    while let Some(id) = next.pop() {
        let job = plan.jobs.iter().find(|job| job.id == id);
        let needs = job.map(|job| job.needs.clone()).unwrap_or_default();
        if kept.insert(id) {
            next.extend(needs);
        }
    }
    plan.jobs.retain(|job| kept.contains(&job.id));
    Ok(plan)
}
