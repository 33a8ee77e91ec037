//! Values and errors as PostgreSQL's client has them.

use std::error::Error as _;

use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::database::{DatabaseError, Value};

/// Values as the client wants them.
pub(super) fn parameters<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.as_ref().to_sql(kind, out),
            Self::Blob(bytes) => bytes.as_ref().to_sql(kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value that is there.
pub(super) struct Owned(pub(super) Value<'static>);

impl<'r> FromSql<'r> for Owned {
    fn from_sql(
        kind: &Type,
        raw: &'r [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(kind, raw)?.into()),
            Type::BYTEA => Value::Blob(raw.to_vec().into()),
            Type::VOID => Value::Null,
            _ => Value::Text(String::from_sql(kind, raw)?.into()),
        }))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::BYTEA | Type::VOID)
            || <String as FromSql<'_>>::accepts(kind)
    }
}

/// What an error and its causes say; a URL's password is in none of them.
pub(super) fn shown(error: &postgres::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    message
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn failed(error: postgres::Error) -> DatabaseError {
    use postgres::error::SqlState;
    let message = shown(&error);
    match error.code() {
        // A connection that broke has no state of its own.
        None if error.is_closed() => DatabaseError::Unavailable { message },
        None => DatabaseError::Unavailable { message },
        Some(code) => match *code {
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::LOCK_NOT_AVAILABLE => DatabaseError::Busy { message },
            SqlState::UNIQUE_VIOLATION => DatabaseError::Duplicate { message },
            // Class 08 is the connection's; what stands between may say it for the database.
            ref code if code.code().starts_with("08") => DatabaseError::Unavailable { message },
            SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::QUERY_CANCELED
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::DISK_FULL
            | SqlState::OUT_OF_MEMORY
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseError::Unavailable { message },
            _ => DatabaseError::Statement { message },
        },
    }
}
