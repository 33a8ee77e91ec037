//! The description of the API (OpenAPI 3.1), made from one table of its operations and the types of the protocol.

use axum::Json;
use protocol::service as types;
use protocol::service::path;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
    PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder, Schema,
};
use utoipa::{PartialSchema, ToSchema};

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Everybody,
    Registrars,
    Agents,
    Readers,
    Writers,
    Administrators,
}

impl For {
    const fn words(self) -> &'static str {
        match self {
            Self::Everybody => "Needs no token.",
            Self::Registrars => "Needs a registration token.",
            Self::Agents => "Needs an agent's token.",
            Self::Readers => "Needs a user's token.",
            Self::Writers => "Needs the token of a writer or an administrator.",
            Self::Administrators => "Needs the token of an administrator.",
        }
    }
}

/// What an answer or a body is.
#[derive(Debug, Clone, Copy)]
enum Form {
    Nothing,
    /// A type of the protocol, by its name.
    Json(&'static str),
    Bytes,
    Text,
    Stream,
}

/// An operation: method, address, who, what for, body, status and form of its answer.
type Row = (HttpMethod, &'static str, For, &'static str, Form, u16, Form);

use Form::{Bytes, Json as Of, Nothing, Stream, Text};
use HttpMethod::{Delete, Get, Patch, Post, Put};

/// Every operation.
const OPERATIONS: &[Row] = &[
    (
        Post,
        path::AGENTS,
        For::Registrars,
        "Registers an agent",
        Of("AgentDescription"),
        201,
        Of("Registered"),
    ),
    (
        Get,
        path::AGENTS,
        For::Readers,
        "Lists agents",
        Nothing,
        200,
        Of("Agents"),
    ),
    (
        Put,
        path::SELF,
        For::Agents,
        "Says anew what the agent is",
        Of("AgentDescription"),
        204,
        Nothing,
    ),
    (
        Post,
        path::ACQUIRE,
        For::Agents,
        "Waits for a job; 204 when there is none",
        Of("Acquire"),
        200,
        Of("Assignment"),
    ),
    (
        Post,
        path::HEARTBEAT,
        For::Agents,
        "Extends leases, and says what becomes of them",
        Of("Heartbeat"),
        200,
        Of("HeartbeatAnswer"),
    ),
    (
        Get,
        path::AGENT,
        For::Readers,
        "Shows an agent",
        Nothing,
        200,
        Of("AgentInfo"),
    ),
    (
        Delete,
        path::AGENT,
        For::Administrators,
        "Forgets an agent",
        Nothing,
        204,
        Nothing,
    ),
    (
        Post,
        path::AGENT_DRAIN,
        For::Administrators,
        "Lets an agent take no more jobs",
        Nothing,
        200,
        Of("Drain"),
    ),
    (
        Delete,
        path::AGENT_DRAIN,
        For::Administrators,
        "Lets an agent take jobs again",
        Nothing,
        200,
        Of("Drain"),
    ),
    (
        Post,
        path::PIPELINES,
        For::Writers,
        "Submits a pipeline",
        Of("Submit"),
        201,
        Of("Submitted"),
    ),
    (
        Get,
        path::PIPELINES,
        For::Readers,
        "Lists pipelines",
        Nothing,
        200,
        Of("Pipelines"),
    ),
    (
        Get,
        path::PIPELINE,
        For::Readers,
        "Shows a pipeline with its jobs",
        Nothing,
        200,
        Of("Pipeline"),
    ),
    (
        Post,
        path::PIPELINE_CANCEL,
        For::Writers,
        "Stops a pipeline",
        Nothing,
        204,
        Nothing,
    ),
    (
        Post,
        path::PIPELINE_RETRY,
        For::Writers,
        "Runs a pipeline's jobs again",
        Of("Retry"),
        204,
        Nothing,
    ),
    (
        Get,
        path::JOBS,
        For::Readers,
        "Lists jobs",
        Nothing,
        200,
        Of("Jobs"),
    ),
    (
        Get,
        path::JOB,
        For::Readers,
        "Shows a job with its attempts",
        Nothing,
        200,
        Of("Job"),
    ),
    (
        Post,
        path::JOB_CANCEL,
        For::Writers,
        "Stops a job",
        Nothing,
        204,
        Nothing,
    ),
    (
        Post,
        path::JOB_RETRY,
        For::Writers,
        "Runs a job again",
        Nothing,
        204,
        Nothing,
    ),
    (
        Post,
        path::JOB_APPROVE,
        For::Writers,
        "Agrees to a job",
        Nothing,
        204,
        Nothing,
    ),
    (
        Post,
        path::ACCEPT,
        For::Agents,
        "Takes an attempt on",
        Nothing,
        204,
        Nothing,
    ),
    (
        Post,
        path::FINISH,
        For::Agents,
        "Ends an attempt",
        Of("Finish"),
        204,
        Nothing,
    ),
    (
        Post,
        path::RELEASE,
        For::Agents,
        "Gives an attempt back",
        Of("Release"),
        204,
        Nothing,
    ),
    (
        Post,
        path::EVENTS,
        For::Agents,
        "Adds events",
        Of("EventBatch"),
        200,
        Of("EventsKept"),
    ),
    (
        Get,
        path::EVENTS,
        For::Readers,
        "Reads events",
        Nothing,
        200,
        Of("EventPage"),
    ),
    (
        Get,
        path::EVENTS_FOLLOW,
        For::Readers,
        "Follows events",
        Nothing,
        200,
        Stream,
    ),
    (
        Patch,
        path::LOG,
        For::Agents,
        "Adds a piece of a log",
        Bytes,
        200,
        Of("LogKept"),
    ),
    (
        Get,
        path::LOG,
        For::Readers,
        "Reads a log, or a range of it",
        Nothing,
        200,
        Text,
    ),
    (
        Get,
        path::LOG_FOLLOW,
        For::Readers,
        "Follows a log",
        Nothing,
        200,
        Stream,
    ),
    (
        Post,
        path::TOKENS,
        For::Administrators,
        "Makes a token",
        Of("CreateToken"),
        201,
        Of("CreatedToken"),
    ),
    (
        Get,
        path::TOKENS,
        For::Administrators,
        "Lists tokens",
        Nothing,
        200,
        Of("Tokens"),
    ),
    (
        Delete,
        path::TOKEN,
        For::Administrators,
        "Revokes a token",
        Nothing,
        204,
        Nothing,
    ),
    (
        Get,
        path::HEALTH,
        For::Everybody,
        "Whether the process answers",
        Nothing,
        200,
        Text,
    ),
    (
        Get,
        path::READY,
        For::Everybody,
        "Whether the server can do its work",
        Nothing,
        200,
        Text,
    ),
    (
        Get,
        path::METRICS,
        For::Everybody,
        "Figures, as OpenMetrics",
        Nothing,
        200,
        Text,
    ),
    (
        Get,
        path::OPENAPI,
        For::Everybody,
        "This description",
        Nothing,
        200,
        Text,
    ),
];

/// What is asked for behind the `?`.
const QUERIES: &[(&str, &str)] = &[
    (path::AGENTS, "after"),
    (path::PIPELINES, "before"),
    (path::JOBS, "before"),
    (path::EVENTS, "from"),
];

/// Bodies that may be left out.
const OPTIONAL: &[&str] = &[path::PIPELINE_RETRY];

/// Answers with the description.
pub(super) async fn get() -> Json<OpenApi> {
    Json(describe())
}

/// The description.
fn describe() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for row in OPERATIONS {
        paths = paths.path(row.1, PathItem::new(row.0.clone(), operation(row)));
    }
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<types::AgentDescription>(&mut schemas);
    add::<types::Registered>(&mut schemas);
    add::<types::Agents>(&mut schemas);
    add::<types::Acquire>(&mut schemas);
    add::<types::Assignment>(&mut schemas);
    add::<types::Heartbeat>(&mut schemas);
    add::<types::HeartbeatAnswer>(&mut schemas);
    add::<types::AgentInfo>(&mut schemas);
    add::<types::Drain>(&mut schemas);
    add::<types::Submit>(&mut schemas);
    add::<types::Submitted>(&mut schemas);
    add::<types::Pipelines>(&mut schemas);
    add::<types::Pipeline>(&mut schemas);
    add::<types::Retry>(&mut schemas);
    add::<types::Jobs>(&mut schemas);
    add::<types::Job>(&mut schemas);
    add::<types::Finish>(&mut schemas);
    add::<types::Release>(&mut schemas);
    add::<types::EventsKept>(&mut schemas);
    add::<types::LogKept>(&mut schemas);
    add::<types::LogPiece>(&mut schemas);
    add::<types::CreateToken>(&mut schemas);
    add::<types::CreatedToken>(&mut schemas);
    add::<types::Tokens>(&mut schemas);
    add::<types::Problem>(&mut schemas);
    // Of any events.
    let batch = <types::EventBatch<Event> as PartialSchema>::schema();
    schemas.push(("EventBatch".to_owned(), batch));
    let page = <types::EventPage<Event> as PartialSchema>::schema();
    schemas.push(("EventPage".to_owned(), page));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("token", SecurityScheme::Http(bearer))
        .build();
    let info = InfoBuilder::new()
        .title("Slipway")
        .description(Some("What a server offers to agents and users."))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(components))
        .build()
}

/// An event, as the description has it.
#[derive(Debug)]
struct Event;

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).into()
    }
}

impl ToSchema for Event {}

/// A type with all that it is made of.
fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn operation((method, path, who, summary, body, status, answer): &Row) -> Operation {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(method, path)))
        .summary(Some(*summary))
        .description(Some(who.words()))
        .parameters(Some(parameters(method, path)))
        .response(status.to_string(), response(summary, *answer))
        .response("default", response("It was refused", Of("Problem")));
    if *path == path::ACQUIRE {
        operation = operation.response("204", response("There is none", Nothing));
    }
    if *path == path::LOG && *method == Get {
        operation = operation.response("206", response("A range of it", Text));
    }
    if let Some((kind, content)) = content(*body) {
        let is_needed = match OPTIONAL.contains(path) {
            true => Required::False,
            false => Required::True,
        };
        let body = RequestBodyBuilder::new()
            .content(kind, content)
            .required(Some(is_needed));
        operation = operation.request_body(Some(body.build()));
    }
    if *who != For::Everybody {
        let token = SecurityRequirement::new("token", Vec::<String>::new());
        operation = operation.security(token);
    }
    operation.build()
}

/// `post_pipelines_id_cancel`: what generators call it.
fn operation_id(method: &HttpMethod, path: &str) -> String {
    let method = match method {
        Post => "post",
        Put => "put",
        Patch => "patch",
        Delete => "delete",
        _ => "get",
    };
    let words = path
        .trim_start_matches("/api/v1")
        .split('/')
        .map(|word| word.trim_matches(['{', '}']).replace('.', "_"));
    let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
    format!("{method}_{}", words.join("_"))
}

fn parameters(method: &HttpMethod, path: &str) -> Vec<Parameter> {
    let number = |least: u64| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(least))
    };
    let mut parameters = Vec::new();
    for name in path.split(['{', '}']).skip(1).step_by(2) {
        let schema = match name {
            "name" => <types::StreamName as PartialSchema>::schema(),
            _ => number(0).into(),
        };
        parameters.push(parameter(name, ParameterIn::Path, Required::True, schema));
    }
    if *method == Get
        && let Some((_, name)) = QUERIES.iter().find(|(of, _)| *of == path)
    {
        let schema = number(0).into();
        parameters.push(parameter(name, ParameterIn::Query, Required::False, schema));
    }
    if *method == Patch {
        let schema = number(0).into();
        let name = path::OFFSET_HEADER;
        parameters.push(parameter(name, ParameterIn::Header, Required::True, schema));
    }
    parameters
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
    schema: RefOr<Schema>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(schema))
        .build()
}

fn response(description: &str, form: Form) -> utoipa::openapi::Response {
    let response = ResponseBuilder::new().description(description);
    match content(form) {
        None => response.build(),
        Some((kind, content)) => response.content(kind, content).build(),
    }
}

fn content(form: Form) -> Option<(&'static str, utoipa::openapi::Content)> {
    let text = || -> RefOr<Schema> { ObjectBuilder::new().schema_type(Type::String).into() };
    let (kind, schema) = match form {
        Nothing => return None,
        Of(name) => ("application/json", Ref::from_schema_name(name).into()),
        Bytes => ("application/octet-stream", text()),
        Text => ("text/plain", text()),
        Stream => ("text/event-stream", text()),
    };
    Some((
        kind,
        ContentBuilder::new()
            .schema(Some::<RefOr<Schema>>(schema))
            .build(),
    ))
}
