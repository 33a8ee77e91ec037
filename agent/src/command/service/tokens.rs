//! `agent tokens`.

use protocol::service::{self, CreatedToken, TokenKind, path};

use super::super::CommandError;
use super::super::printing::{aligned, print};
use super::submit::repository;
use super::{client, print_json, show, wait};
use crate::cli::{self, TokenOperation, Tokens};
use crate::clock::{milliseconds, unix_ms};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::sanitise;

/// Makes, lists and revokes tokens.
pub fn tokens(arguments: &Tokens, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    wait(async {
        match &arguments.operation {
            TokenOperation::Create(token) => {
                let created: CreatedToken = client.post(path::TOKENS, &wanted(token)?).await?;
                match token.json {
                    true => print_json(&created)?,
                    // Alone on its line: for `TOKEN=$(agent tokens create ..)`.
                    false => print(&format!("{}\n", created.secret))?,
                }
            }
            TokenOperation::List { json } => {
                let all: service::Tokens = client.get(path::TOKENS).await?;
                match json {
                    true => print_json(&all)?,
                    false => print(&table(&all.tokens))?,
                }
            }
            TokenOperation::Revoke { token } => client.delete(&path::of_token(*token)).await?,
        }
        Ok(ExitCode::Success)
    })
}

fn wanted(token: &cli::CreateToken) -> Result<service::CreateToken, CommandError> {
    let role = match token.role {
        cli::Role::Reader => service::Role::Reader,
        cli::Role::Writer => service::Role::Writer,
        cli::Role::Admin => service::Role::Admin,
    };
    let repositories = token.repo.iter().map(|repo| repository(repo));
    Ok(service::CreateToken {
        name: token.name.clone(),
        kind: match token.registration {
            true => TokenKind::Registration,
            false => TokenKind::User,
        },
        role: (!token.registration).then_some(role),
        repositories: repositories.collect::<Result<_, _>>()?,
        expires_in_ms: token.expires.map(milliseconds),
        uses: token.uses,
    })
}

fn table(tokens: &[service::Token]) -> String {
    let now = unix_ms();
    let head = ["TOKEN", "NAME", "FOR", "OF", "USES", "CREATED", "EXPIRES"].map(str::to_owned);
    let rows = tokens.iter().map(|token| {
        let what = match (token.kind, token.role) {
            (TokenKind::Registration, _) => "registration",
            (TokenKind::Agent, _) => "agent",
            (TokenKind::User, Some(service::Role::Admin)) => "admin",
            (TokenKind::User, Some(service::Role::Writer)) => "writer",
            (TokenKind::User, _) => "reader",
        };
        let expires = match token.expires_at {
            None => "never".to_owned(),
            Some(at) => format!("in {}", show::took(Some(now), Some(at.max(now)), now)),
        };
        [
            token.id.to_string(),
            sanitise(&token.name),
            what.to_owned(),
            sanitise(&token.repositories.join(" ")),
            token
                .uses_left
                .map_or_else(String::new, |uses| uses.to_string()),
            show::ago(token.created_at, now),
            expires,
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    aligned(&rows)
}
