//! Tokens: how clients say who they are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TokenId;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Agents register with it.
    Registration,
    /// An agent's own, made when it registers. Cannot be created otherwise.
    Agent,
    /// A person's or a program's.
    User,
}

/// What a user's token allows; each includes the one before.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Reader,
    /// Submit, cancel, retry, approve.
    Writer,
    /// Agents, tokens and secrets; of a token for some repositories, their secrets.
    Admin,
}

/// A token is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateToken {
    /// For people: whose it is. At most [`limits::NAME`](super::limits::NAME) bytes.
    pub name: String,
    /// What for.
    pub kind: TokenKind,
    /// What a user's token allows; not for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The only repositories that a user's token is for: URLs, or what they start with and `/*`. None is the whole server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// After how long it stops to count, milliseconds; never otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// How many agents may register with it; any number otherwise. Not for users' tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

/// A token was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// What is known of it from now on.
    #[serde(flatten)]
    pub token: Token,
    /// What to send as `Authorization: Bearer ..`. Shown this once.
    pub secret: String,
}

impl std::fmt::Debug for CreatedToken {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// What for.
    pub kind: TokenKind,
    /// What it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The only repositories that it is for; none is the whole server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// How many more agents may register with it, where that is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// When it was made.
    pub created_at: u64,
    /// When it stops to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// All tokens that count, but for those of agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// By id.
    pub tokens: Vec<Token>,
}
