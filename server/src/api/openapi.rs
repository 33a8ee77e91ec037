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

use super::operations::{For, Form, OF_REPOSITORY, OPERATIONS, OPTIONAL, QUERIES, Row};
use Form::{Bytes, Json as Of, Nothing, Stream, Text};
use HttpMethod::{Delete, Get, Patch, Post, Put};

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
    add::<types::Artifacts>(&mut schemas);
    add::<types::CacheQuery>(&mut schemas);
    add::<types::CacheAnswer>(&mut schemas);
    add::<types::Caches>(&mut schemas);
    add::<types::Finish>(&mut schemas);
    add::<types::Release>(&mut schemas);
    add::<types::EventsKept>(&mut schemas);
    add::<types::LogKept>(&mut schemas);
    add::<types::LogPiece>(&mut schemas);
    add::<types::Secrets>(&mut schemas);
    add::<types::SetSecret>(&mut schemas);
    add::<types::Withheld>(&mut schemas);
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
    if [path::LOG, path::ARTIFACT, path::CACHE_ARCHIVE].contains(path) && *method == Get {
        operation = operation.response("206", response("A range of it", *answer));
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
            "name" if path == path::ARTIFACT => ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"))
                .into(),
            "name" => <types::StreamName as PartialSchema>::schema(),
            "secret" => ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some("^[A-Za-z_][A-Za-z0-9_]{0,127}$"))
                .into(),
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
    if OF_REPOSITORY.contains(&path) {
        let schema = ObjectBuilder::new().schema_type(Type::String).into();
        let name = "repository";
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
