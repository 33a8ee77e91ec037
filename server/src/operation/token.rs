//! Tokens and who they stand for.

use protocol::service::{
    AgentDescription, AgentId, CreateToken, Problem, ProblemCode, Role, Token, TokenId, TokenKind,
    Tokens,
};

use crate::database::{OperationError, Row, Transaction, Value, refuse, word};
use crate::scope::Scope;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A program that may register as an agent.
    Registration(TokenId),
    /// An agent.
    Agent(AgentId),
    /// A person or a program.
    User(User),
}

/// Who has a user's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) token: TokenId,
    /// The token's name.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) scope: Scope,
}

/// Whom a token stands for; `None` when it does not count.
pub(crate) fn identity(
    tx: &mut Transaction<'_>,
    hash: [u8; 32],
) -> Result<Option<Identity>, OperationError> {
    let row = tx.first(
        "SELECT id, kind, role, agent, uses_left, expires_at, hash, name, repositories FROM tokens WHERE hash = $1",
        &[hash.as_slice().into()],
    )?;
    let Some(row) = row else {
        return Ok(None);
    };
    let expires_at: Option<u64> = row.maybe_number(5)?;
    let is_over = expires_at.is_some_and(|at| at <= tx.now());
    let is_same = bool::from(subtle::ConstantTimeEq::ct_eq(row.blob(6)?, hash.as_slice()));
    if is_over || !is_same {
        return Ok(None);
    }
    let token = TokenId(row.number(0)?);
    Ok(match row.word::<TokenKind>(1)? {
        TokenKind::Registration => Some(Identity::Registration(token)),
        TokenKind::Agent => row.maybe_number(3)?.map(|id| Identity::Agent(AgentId(id))),
        TokenKind::User => {
            let role: Option<Role> = row.maybe_word(2)?;
            let name = row.text(7)?.to_owned();
            let scope = Scope::new(row.maybe_json(8)?);
            role.map(|role| {
                Identity::User(User {
                    token,
                    name,
                    role,
                    scope,
                })
            })
        }
    })
}

/// Makes a token whose secret has this hash.
pub(crate) fn create(
    tx: &mut Transaction<'_>,
    wanted: &CreateToken,
    hash: [u8; 32],
) -> Result<Token, OperationError> {
    match (wanted.kind, wanted.role, wanted.uses) {
        (TokenKind::Agent, ..) => {
            return refuse(
                ProblemCode::Invalid,
                "an agent's token is made when it registers",
            );
        }
        (TokenKind::User, None, _) => {
            return refuse(
                ProblemCode::Invalid,
                "a user's token needs a `role`: reader, writer or admin",
            );
        }
        (TokenKind::User, _, Some(_)) => {
            return refuse(ProblemCode::Invalid, "`uses` is for registration tokens");
        }
        (TokenKind::Registration, Some(_), _) => {
            return refuse(ProblemCode::Invalid, "a registration token has no `role`");
        }
        (TokenKind::Registration, ..) if !wanted.repositories.is_empty() => {
            return refuse(
                ProblemCode::Invalid,
                "a registration token is for no repositories: agents run jobs of all",
            );
        }
        _ => {}
    }
    let repositories = Some(&wanted.repositories).filter(|only| !only.is_empty());
    let repositories = repositories.map(Value::json).transpose()?;
    let now = tx.now();
    let expires_at = wanted.expires_in_ms.map(|after| now.saturating_add(after));
    let row = tx.one(
        "INSERT INTO tokens (name, kind, role, hash, uses_left, created_at, expires_at, repositories) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        &[
            (&wanted.name).into(),
            word(&wanted.kind)?,
            word(&wanted.role)?,
            hash.as_slice().into(),
            wanted.uses.into(),
            now.into(),
            expires_at.into(),
            repositories.into(),
        ],
    )?;
    Ok(Token {
        id: TokenId(row.number(0)?),
        name: wanted.name.clone(),
        kind: wanted.kind,
        role: wanted.role,
        repositories: wanted.repositories.clone(),
        uses_left: wanted.uses,
        created_at: now,
        expires_at,
    })
}

/// All that count, but for those of agents.
pub(crate) fn list(tx: &mut Transaction<'_>) -> Result<Tokens, OperationError> {
    let now = tx.now();
    let rows = tx.query(
        "SELECT id, name, kind, role, uses_left, created_at, expires_at, repositories FROM tokens \
         WHERE kind <> 'agent' AND (expires_at IS NULL OR expires_at > $1) ORDER BY id LIMIT 10000",
        &[now.into()],
    )?;
    let token = |row: &Row| -> Result<Token, OperationError> {
        Ok(Token {
            id: TokenId(row.number(0)?),
            name: row.text(1)?.to_owned(),
            kind: row.word(2)?,
            role: row.maybe_word(3)?,
            repositories: row.maybe_json(7)?.unwrap_or_default(),
            uses_left: row.maybe_number(4)?,
            created_at: row.number(5)?,
            expires_at: row.maybe_number(6)?,
        })
    };
    let tokens: Result<Vec<Token>, OperationError> = rows.iter().map(token).collect();
    Ok(Tokens { tokens: tokens? })
}

/// It does not count any more.
pub(crate) fn revoke(tx: &mut Transaction<'_>, id: TokenId) -> Result<(), OperationError> {
    let gone = tx.execute(
        "DELETE FROM tokens WHERE id = $1 AND kind <> 'agent'",
        &[id.0.into()],
    )?;
    match gone {
        0 => refuse(ProblemCode::NotFound, format!("there is no token {id}")),
        _ => Ok(()),
    }
}

/// Whether there is any administrator's token that counts: a new database has none.
pub(crate) fn has_administrator(tx: &mut Transaction<'_>) -> Result<bool, OperationError> {
    let now = tx.now();
    let row = tx.first(
        "SELECT id FROM tokens WHERE kind = 'user' AND role = 'admin' AND repositories IS NULL AND (expires_at IS NULL OR expires_at > $1) LIMIT 1",
        &[now.into()],
    )?;
    Ok(row.is_some())
}

/// An agent registers.
pub(crate) fn register(
    tx: &mut Transaction<'_>,
    registration: TokenId,
    description: &AgentDescription,
    hash: [u8; 32],
) -> Result<AgentId, OperationError> {
    let counted = tx.execute(
        "UPDATE tokens SET uses_left = uses_left - 1 WHERE id = $1 AND kind = 'registration' \
         AND (uses_left IS NULL OR uses_left > 0)",
        &[registration.0.into()],
    )?;
    if counted == 0 {
        let problem = Problem::new(
            ProblemCode::Forbidden,
            "as many agents as may have registered with this token",
        );
        return Err(problem
            .help("make another one: `agent tokens create`")
            .into());
    }
    let now = tx.now();
    let agent: u64 = tx
        .one(
            "INSERT INTO agents (name, description, ephemeral, created_at, seen_at) VALUES ($1, $2, $3, $4, $4) RETURNING id",
            &[
                (&description.name).into(),
                Value::json(description)?,
                description.ephemeral.into(),
                now.into(),
            ],
        )?
        .number(0)?;
    tx.execute(
        "INSERT INTO tokens (name, kind, hash, agent, created_at) VALUES ($1, 'agent', $2, $3, $4)",
        &[
            (&description.name).into(),
            hash.as_slice().into(),
            agent.into(),
            now.into(),
        ],
    )?;
    Ok(AgentId(agent))
}
