//! A server, a user and agents.

use std::time::Duration;

use protocol::service::{
    Acquire, AgentDescription, Assignment, AttemptId, CreateToken, CreatedToken, Finish, Job,
    JobId, LogEnd, Pipeline, PipelineId, Problem, Registered, Role, StreamName, Submit, Submitted,
    TokenKind, path, version,
};
use protocol::service::{BlockHasher, PipelineState};
use protocol::{Cause, Conclusion};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use server::{Config, Running};
use tempfile::TempDir;

use crate::database::Database;

/// A server in a directory of its own.
pub(crate) struct Server {
    pub(crate) directory: TempDir,
    pub(crate) running: Option<Running>,
    // Behind the server: it outlives it.
    pub(crate) database: Option<std::sync::Arc<Database>>,
    pub(crate) config: Config,
    /// As its administrator.
    pub(crate) admin: User,
}

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct User {
    client: Client,
    pub(crate) base: String,
    pub(crate) token: String,
}

/// An agent that pretends.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) user: User,
    pub(crate) id: protocol::service::AgentId,
}

pub(crate) fn transport() -> repository::Transport {
    let program = env!("CARGO_BIN_EXE_server-transport");
    repository::Transport::new(move || std::process::Command::new(program))
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = Config::in_directory(directory.path().join("data"), transport());
        config.doubt = Duration::ZERO;
        config.listen.set_port(0);
        config.grace = Duration::from_secs(5);
        config.requests_per_second = 0;
        config.allow_file_repositories = true;
        let database = crate::database::make().map(std::sync::Arc::new);
        if let Some(database) = &database {
            config.database = database.location.clone();
        }
        change(&mut config);
        let running = server::start(config.clone()).await.unwrap();
        let file = running.first_token.clone().unwrap();
        let token = std::fs::read_to_string(file).unwrap().trim().to_owned();
        let admin = User::new(&format!("http://{}", running.address), &token);
        Self {
            directory,
            running: Some(running),
            database,
            config,
            admin,
        }
    }

    /// Ends it and starts it again on the same data and at the same address.
    pub(crate) async fn restart(&mut self) {
        self.end().await;
        self.start_again().await;
    }

    /// Ends it.
    pub(crate) async fn end(&mut self) {
        let running = self.running.take().unwrap();
        self.config.listen = running.address;
        running.shutdown.now();
        running.ended().await.unwrap();
    }

    /// Starts it on the same data and at the same address.
    pub(crate) async fn start_again(&mut self) {
        for _ in 0..100 {
            match server::start(self.config.clone()).await {
                Ok(running) => {
                    assert_eq!(running.first_token, None);
                    self.running = Some(running);
                    return;
                }
                Err(server::ServerError::Listen { .. }) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the address stays taken");
    }

    /// Its figures, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.admin.request(Method::GET, path::METRICS).send().await;
        answer.unwrap().text().await.unwrap()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) async fn token(&self, kind: TokenKind, role: Option<Role>) -> String {
        let wanted = CreateToken {
            name: "test".to_owned(),
            kind,
            role,
            repositories: Vec::new(),
            expires_in_ms: None,
            uses: None,
        };
        let created: CreatedToken = self.admin.post(path::TOKENS, &wanted).await;
        created.secret
    }

    pub(crate) async fn user(&self, role: Role) -> User {
        let token = self.token(TokenKind::User, Some(role)).await;
        User::new(&self.admin.base, &token)
    }

    pub(crate) async fn agent(&self, labels: &[(&str, &str)]) -> Agent {
        let token = self.token(TokenKind::Registration, None).await;
        let user = User::new(&self.admin.base, &token);
        let labels = labels.iter();
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let description = AgentDescription {
            name: "test".to_owned(),
            labels: labels.collect(),
            slots: 1,
            version: "0".to_owned(),
            ephemeral: false,
        };
        let registered: Registered = user.post(path::AGENTS, &description).await;
        Agent {
            user: User::new(&self.admin.base, &registered.secret),
            id: registered.agent,
        }
    }

    /// Submits the text of a pipeline.
    pub(crate) async fn submit(&self, text: &str) -> PipelineId {
        let submit = Submit {
            pipeline: Some(text.to_owned()),
            ..Submit::default()
        };
        self.submitted(&submit).await
    }

    /// A repository with one commit on `main`.
    pub(crate) fn repository(&self, name: &str, pipeline: &str) -> String {
        let path = self.directory.path().join(name);
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("main");
        let repository = git2::Repository::init_opts(&path, &options).unwrap();
        let blob = repository.blob(pipeline.as_bytes()).unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        tree.insert(".pipeline.yml", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let who = git2::Signature::now("test", "test@example.org").unwrap();
        repository
            .commit(Some("HEAD"), &who, &who, "first", &tree, &[])
            .unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) async fn submitted(&self, submit: &Submit) -> PipelineId {
        let submitted: Submitted = self.admin.post(path::PIPELINES, submit).await;
        submitted.pipeline
    }

    pub(crate) async fn pipeline(&self, id: PipelineId) -> Pipeline {
        self.admin.get(&path::of_pipeline(path::PIPELINE, id)).await
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.admin.get(&path::of_job(path::JOB, id)).await
    }

    /// Which database it is on.
    pub(crate) fn kind(&self) -> &'static str {
        match self.database {
            None => "SQLite",
            Some(_) => "PostgreSQL",
        }
    }

    /// `name: state conclusion` of every job, and how the pipeline ended.
    pub(crate) async fn shown(&self, id: PipelineId) -> String {
        let pipeline = self.pipeline(id).await;
        let mut lines: Vec<String> = pipeline
            .jobs
            .iter()
            .map(|job| {
                let end = match (&job.conclusion, &job.waiting) {
                    (Some(conclusion), _) => format!("{conclusion:?}"),
                    (None, Some(waiting)) => format!("{waiting:?}"),
                    (None, None) => format!("{:?}", job.state),
                };
                let allowed = if job.allowed { " (allowed)" } else { "" };
                let cause = match &job.cause {
                    Some(Cause::Skipped(skip)) => format!(", {skip:?}"),
                    Some(cause) => format!(", {cause:?}"),
                    None => String::new(),
                };
                format!("{}: {end}{allowed}{cause}", job.name)
            })
            .collect();
        let end = match pipeline.summary.state {
            PipelineState::Finished => format!("{:?}", pipeline.summary.conclusion.unwrap()),
            state => format!("{state:?}"),
        };
        lines.push(format!("= {end}"));
        lines.join("\n")
    }
}

impl User {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        let client = Client::builder().no_proxy().build().unwrap();
        Self {
            client,
            base: base.to_owned(),
            token: token.to_owned(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .header(version::HEADER, version::header())
            .bearer_auth(&self.token)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        read(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> T {
        read(self.request(Method::POST, path).json(body)).await
    }

    /// What is answered without a body.
    pub(crate) async fn tell(&self, path: &str, body: &impl Serialize) {
        let answer = self.request(Method::POST, path).json(body).send().await;
        let answer = answer.unwrap();
        let status = answer.status();
        assert_eq!(
            status,
            StatusCode::NO_CONTENT,
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }

    pub(crate) async fn refused(&self, path: &str, body: &impl Serialize) -> Problem {
        problem(self.request(Method::POST, path).json(body)).await
    }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> T {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}

pub(crate) async fn problem(request: RequestBuilder) -> Problem {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.as_u16() >= 400, "{status} {text}");
    let problem: Problem = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
    assert_eq!(problem.code.status(), status.as_u16(), "{text}");
    problem
}

impl Agent {
    /// Asks for a job, without waiting for one.
    pub(crate) async fn offered(&self) -> Option<Assignment> {
        self.acquire(0).await
    }

    pub(crate) async fn acquire(&self, wait_ms: u64) -> Option<Assignment> {
        let acquire = Acquire { free: 1, wait_ms };
        let request = self.user.request(Method::POST, path::ACQUIRE);
        let answer = request.json(&acquire).send().await.unwrap();
        match answer.status() {
            StatusCode::NO_CONTENT => None,
            StatusCode::OK => Some(answer.json().await.unwrap()),
            status => panic!("{status} {}", answer.text().await.unwrap()),
        }
    }

    /// Takes a job and accepts it; panics when there is none.
    pub(crate) async fn take(&self) -> Assignment {
        let assignment = self.acquire(5_000).await.expect("a job");
        self.tell(path::ACCEPT, assignment.id, &json!({})).await;
        assignment
    }

    pub(crate) async fn tell(&self, template: &str, id: AttemptId, body: &impl Serialize) {
        self.user.tell(&path::of_attempt(template, id), body).await;
    }

    pub(crate) async fn refused(
        &self,
        template: &str,
        id: AttemptId,
        body: &impl Serialize,
    ) -> Problem {
        self.user
            .refused(&path::of_attempt(template, id), body)
            .await
    }

    pub(crate) fn log(
        &self,
        id: AttemptId,
        name: &StreamName,
        offset: u64,
        bytes: &[u8],
    ) -> RequestBuilder {
        let path = path::of_log(path::LOG, id, name);
        self.user
            .request(Method::PATCH, &path)
            .header(path::OFFSET_HEADER, offset)
            .body(bytes.to_vec())
    }

    /// Finishes without logs and events.
    pub(crate) async fn finish(&self, id: AttemptId, conclusion: Conclusion) {
        self.tell(path::FINISH, id, &finish(conclusion)).await;
    }

    /// Takes the next job, and ends it so; the job's name.
    pub(crate) async fn run(&self, conclusion: Conclusion) -> String {
        let assignment = self.take().await;
        self.finish(assignment.id, conclusion).await;
        assignment.plan.jobs[0].id.clone()
    }
}

pub(crate) fn finish(conclusion: Conclusion) -> Finish {
    Finish {
        conclusion,
        cause: None,
        outputs: [].into(),
        events: 0,
        logs: Vec::new(),
        artifacts: Vec::new(),
        caches: Vec::new(),
    }
}

pub(crate) fn end(name: &StreamName, bytes: &[u8]) -> LogEnd {
    let mut hasher = BlockHasher::new();
    hasher.update(bytes);
    LogEnd {
        name: name.clone(),
        length: bytes.len() as u64,
        checksum: hasher.checksum(),
    }
}

/// A pipeline of one job.
pub(crate) const ONE: &str = "image: host\nsteps: [{ run: make }]\n";
