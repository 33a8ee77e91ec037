//! Secrets: set, listed without their values, removed. Nobody reads one back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use protocol::service::{ProblemCode, Secrets, SetSecret, is_secret_name, limits};
use serde::Deserialize;

use super::answer::{done, shown};
use super::error::ApiError;
use super::extract::{Asked, Body, Keeper, Params, forbidden};
use crate::keyring::Binding;
use crate::operation::secret::{self, Sealed};
use crate::operation::token::User;
use crate::service::Service;

/// Whose.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Of {
    /// A repository's, by its URL; the whole server's without.
    repository: Option<String>,
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ProblemCode::Invalid, message)
}

/// The repository as submissions have it; empty for the whole server. The caller is its administrator.
fn whose(service: &Service, caller: &User, of: &Of) -> Result<String, ApiError> {
    let repository = match &of.repository {
        None => String::new(),
        Some(url) => service.compiler.name_of(url)?,
    };
    match caller.scope.covers(&repository) {
        true => Ok(repository),
        false => Err(forbidden(match repository.is_empty() {
            true => "this is for administrators of the whole server: name one of your repositories",
            false => "your token is not for this repository",
        })),
    }
}

/// Names, and who has set them when.
pub(super) async fn list(
    State(service): State<Service>,
    Keeper(caller): Keeper,
    Asked(of): Asked<Of>,
) -> Result<Json<Secrets>, ApiError> {
    let repository = whose(&service, &caller, &of)?;
    shown(&service, move |tx| secret::list(tx, &repository)).await
}

/// Sets one.
pub(super) async fn set(
    State(service): State<Service>,
    Keeper(caller): Keeper,
    Params(name): Params<String>,
    Asked(of): Asked<Of>,
    Body(wanted): Body<SetSecret>,
) -> Result<StatusCode, ApiError> {
    let repository = whose(&service, &caller, &of)?;
    check(&name, &wanted)?;
    let Some(keyring) = &service.keyring else {
        let problem = protocol::service::Problem::new(
            ProblemCode::Conflict,
            "this server has no key to encrypt secrets with",
        );
        return Err(problem
            .help("name a file with one: `agent server --secret-key-file FILE`")
            .into());
    };
    let binding = Binding::Secret {
        repository: &repository,
        name: &name,
    };
    let sealed = keyring.seal(binding, &wanted.value).map_err(|error| {
        tracing::error!(%error, "the kernel gives no random numbers");
        ApiError::new(ProblemCode::Internal, "something inside the server failed")
    })?;
    tracing::info!(name, repository, by = caller.name, "a secret is set");
    let secret = Sealed {
        repository,
        name,
        sealed,
        events: wanted.events,
        branches: wanted.branches,
        set_by: caller.name,
    };
    done(&service, move |tx| secret::set(tx, &secret)).await
}

fn check(name: &str, wanted: &SetSecret) -> Result<(), ApiError> {
    if !is_secret_name(name) {
        return Err(invalid(format!(
            "a secret's name has at most {} letters, digits and `_`, and does not start with a digit",
            limits::NAME
        )));
    }
    let value = wanted.value.expose();
    if value.len() > limits::SECRET {
        return Err(invalid(format!(
            "a secret has at most {} bytes",
            limits::SECRET
        )));
    }
    if value.trim().len() < limits::SECRET_LEAST {
        return Err(invalid(format!(
            "a secret of fewer than {} bytes could not be masked",
            limits::SECRET_LEAST
        )));
    }
    if value.contains('\0') {
        return Err(invalid(
            "a secret with a NUL character fits into no environment",
        ));
    }
    let branches = &wanted.branches;
    let is_branch = |name: &String| !name.is_empty() && name.len() <= 1024 && !name.contains('\0');
    if branches.len() > limits::SECRET_BRANCHES || !branches.iter().all(is_branch) {
        return Err(invalid(format!(
            "a secret has at most {} branches, of 1 to 1024 bytes",
            limits::SECRET_BRANCHES
        )));
    }
    Ok(())
}

/// Removes one.
pub(super) async fn remove(
    State(service): State<Service>,
    Keeper(caller): Keeper,
    Params(name): Params<String>,
    Asked(of): Asked<Of>,
) -> Result<StatusCode, ApiError> {
    let repository = whose(&service, &caller, &of)?;
    if name.contains('\0') {
        return Err(invalid("a secret's name has no NUL character"));
    }
    tracing::info!(name, repository, by = caller.name, "a secret is removed");
    done(&service, move |tx| secret::remove(tx, &repository, &name)).await
}
