//! Tokens: 256 random bits, shown once, kept as their hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::service::TokenKind;
use sha2::{Digest as _, Sha256};

/// A new token and its hash. Its first letters say what it is for, so that one that was leaked is recognised.
pub(crate) fn generate(kind: TokenKind) -> Result<(String, [u8; 32]), getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    let prefix = match kind {
        TokenKind::Registration => "slipway_registration_",
        TokenKind::Agent => "slipway_agent_",
        TokenKind::User => "slipway_user_",
    };
    let secret = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits));
    let hash = hash(&secret);
    Ok((secret, hash))
}

/// What is kept of a token. It has enough bits of its own: no salt, no slow hash.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
