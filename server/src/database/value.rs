//! What goes into statements and comes out of them: the four kinds of values that both databases have.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

use super::DatabaseError;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'v> {
    Null,
    Int(i64),
    Text(Cow<'v, str>),
    Blob(Cow<'v, [u8]>),
}

impl Value<'_> {
    /// The same, of nobody's memory but its own.
    pub(super) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Blob(bytes) => Value::Blob(Cow::Owned(bytes.into_owned())),
        }
    }

    /// How many bytes it has, of what is of any length.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Null | Self::Int(_) => 0,
            Self::Text(text) => text.len() as u64,
            Self::Blob(bytes) => bytes.len() as u64,
        }
    }

    /// A value as JSON text.
    pub(crate) fn json(value: &impl Serialize) -> Result<Value<'static>, DatabaseError> {
        let text = serde_json::to_string(value).map_err(|source| DatabaseError::Json { source })?;
        Ok(Value::Text(Cow::Owned(text)))
    }
}

macro_rules! from_numbers {
    ($($number:ty)*) => {$(
        impl From<$number> for Value<'_> {
            /// Numbers beyond what a database can hold are held to its largest one.
            fn from(number: $number) -> Self {
                Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
    )*};
}

from_numbers! { i64 u64 u32 i32 usize }

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        Self::Int(is.into())
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(bytes: &'v [u8]) -> Self {
        Self::Blob(Cow::Borrowed(bytes))
    }
}

impl<'v, T: Into<Self>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row of an answer, by the places of its columns.
#[derive(Debug, Clone)]
pub(crate) struct Row(pub(super) Vec<Value<'static>>);

impl Row {
    fn at(&self, column: usize) -> Result<&Value<'static>, DatabaseError> {
        self.0.get(column).ok_or(DatabaseError::Shape { column })
    }

    /// A whole number or nothing.
    pub(crate) fn maybe_int(&self, column: usize) -> Result<Option<i64>, DatabaseError> {
        match self.at(column)? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            _ => Err(DatabaseError::Shape { column }),
        }
    }

    /// A whole number.
    pub(crate) fn int(&self, column: usize) -> Result<i64, DatabaseError> {
        self.maybe_int(column)?
            .ok_or(DatabaseError::Shape { column })
    }

    /// A whole number that is never negative.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, DatabaseError> {
        T::try_from(self.int(column)?).map_err(|_| DatabaseError::Shape { column })
    }

    /// The same, or nothing.
    pub(crate) fn maybe_number<T: TryFrom<i64>>(
        &self,
        column: usize,
    ) -> Result<Option<T>, DatabaseError> {
        let number = self.maybe_int(column)?.map(T::try_from).transpose();
        number.map_err(|_| DatabaseError::Shape { column })
    }

    /// Yes or no.
    pub(crate) fn is(&self, column: usize) -> Result<bool, DatabaseError> {
        Ok(self.int(column)? != 0)
    }

    /// A text or nothing.
    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<&str>, DatabaseError> {
        match self.at(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(DatabaseError::Shape { column }),
        }
    }

    /// A text.
    pub(crate) fn text(&self, column: usize) -> Result<&str, DatabaseError> {
        self.maybe_text(column)?
            .ok_or(DatabaseError::Shape { column })
    }

    /// Bytes or nothing.
    pub(crate) fn maybe_blob(&self, column: usize) -> Result<Option<&[u8]>, DatabaseError> {
        match self.at(column)? {
            Value::Null => Ok(None),
            Value::Blob(bytes) => Ok(Some(bytes)),
            _ => Err(DatabaseError::Shape { column }),
        }
    }

    /// Bytes.
    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], DatabaseError> {
        match self.at(column)? {
            Value::Blob(bytes) => Ok(bytes),
            _ => Err(DatabaseError::Shape { column }),
        }
    }

    /// JSON text, read.
    pub(crate) fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T, DatabaseError> {
        serde_json::from_str(self.text(column)?).map_err(|source| DatabaseError::Json { source })
    }

    /// JSON text, read, or nothing.
    pub(crate) fn maybe_json<T: DeserializeOwned>(
        &self,
        column: usize,
    ) -> Result<Option<T>, DatabaseError> {
        let text = self.maybe_text(column)?;
        let value = text.map(serde_json::from_str).transpose();
        value.map_err(|source| DatabaseError::Json { source })
    }

    /// A word of a closed list, as serde writes it.
    pub(crate) fn word<T: DeserializeOwned>(&self, column: usize) -> Result<T, DatabaseError> {
        let word: StrDeserializer<'_, serde_json::Error> = self.text(column)?.into_deserializer();
        T::deserialize(word).map_err(|source| DatabaseError::Json { source })
    }

    /// A word of a closed list, or nothing.
    pub(crate) fn maybe_word<T: DeserializeOwned>(
        &self,
        column: usize,
    ) -> Result<Option<T>, DatabaseError> {
        match self.maybe_text(column)? {
            Some(_) => self.word(column).map(Some),
            None => Ok(None),
        }
    }
}

/// A word of a closed list, as serde writes it: what [`Row::word`] reads.
pub(crate) fn word(value: &impl Serialize) -> Result<Value<'static>, DatabaseError> {
    match serde_json::to_value(value).map_err(|source| DatabaseError::Json { source })? {
        serde_json::Value::String(word) => Ok(Value::from(word)),
        _ => Ok(Value::Null),
    }
}
