//! The pure functions.

use std::{borrow::Cow, ops::Range};

use super::{Evaluator, Partial, owned, regex};
use crate::expression::{
    EvaluateErrorKind, Float, Type, Value, error::Failure, function::Function,
};

/// A value and where it stands.
type Argument<'v> = (Cow<'v, Value>, Range<usize>);

impl<'v> Evaluator<'v> {
    /// A function's result; not known while one of its arguments is not.
    pub(super) fn call(
        &self,
        function: Function,
        arguments: Vec<(Partial<'v>, Range<usize>)>,
    ) -> Result<Partial<'v>, Failure> {
        let known = arguments
            .into_iter()
            .map(|(value, range)| Some((value?, range)));
        let Some(arguments) = known.collect::<Option<Vec<Argument<'v>>>>() else {
            return Ok(None);
        };
        let (parameters, _) = function.types();
        for ((value, range), parameter) in arguments.iter().zip(parameters) {
            if !parameter.takes_value(value) {
                let wanted = format!("`{}` wants {}", function.name(), parameter.described());
                return Err(self.wrong(range, value, wanted));
            }
        }
        self.apply(function, &arguments).map(owned)
    }

    /// The arguments have the right types.
    fn apply(&self, function: Function, arguments: &[Argument<'v>]) -> Result<Value, Failure> {
        let Some((first, range)) = arguments.first() else {
            return Ok(Value::Null);
        };
        let first = first.as_ref();
        let text = |index: usize| match arguments.get(index).map(|(value, _)| value.as_ref()) {
            Some(Value::Text(text)) => text.as_str(),
            _ => "",
        };
        self.spend_bytes(text(0).len() + text(1).len(), range)?;
        Ok(match function {
            Function::Bool => to_bool(first, range)?,
            Function::Int => to_int(first, range)?,
            Function::Double => to_float(first, range)?,
            Function::String => first.to_text().unwrap_or_default().into(),
            Function::Size => size(first),
            Function::Contains => text(0).contains(text(1)).into(),
            Function::StartsWith => text(0).starts_with(text(1)).into(),
            Function::EndsWith => text(0).ends_with(text(1)).into(),
            Function::Matches => {
                self.spend(regex::cost(text(0), text(1)), range)?;
                let pattern = arguments.get(1).map_or(range, |(_, range)| range);
                regex::matches(text(0), text(1), pattern)?.into()
            }
            Function::LowerAscii => text(0).to_ascii_lowercase().into(),
            Function::UpperAscii => text(0).to_ascii_uppercase().into(),
            Function::Trim => text(0).trim().into(),
            Function::Replace => {
                let found = text(0).matches(text(1)).count();
                self.spend_bytes(found.saturating_mul(text(2).len()), range)?;
                text(0).replace(text(1), text(2)).into()
            }
            Function::Split => self.split(text(0), text(1), range)?,
            Function::Join => self.join(first, text(1), range)?,
        })
    }

    fn split(&self, text: &str, separator: &str, range: &Range<usize>) -> Result<Value, Failure> {
        if separator.is_empty() {
            self.spend(text.len() as u64, range)?;
            return Ok(text.chars().map(String::from).collect());
        }
        let pieces: Value = text.split(separator).collect();
        if let Value::List(pieces) = &pieces {
            self.spend(pieces.len() as u64, range)?;
        }
        Ok(pieces)
    }

    fn join(&self, list: &Value, separator: &str, range: &Range<usize>) -> Result<Value, Failure> {
        let mut joined = String::new();
        if let Value::List(items) = list {
            for (index, item) in items.iter().enumerate() {
                let Value::Text(item) = item else {
                    return Err(self.wrong(range, list, "`join` wants strings in it"));
                };
                self.spend_bytes(item.len() + separator.len(), range)?;
                self.spend(1, range)?;
                joined.push_str(if index > 0 { separator } else { "" });
                joined.push_str(item);
            }
        }
        Ok(Value::Text(joined))
    }
}

fn size(value: &Value) -> Value {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        _ => 0,
    };
    Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
}

fn to_bool(value: &Value, range: &Range<usize>) -> Result<Value, Failure> {
    match value {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::Text(text) => match text.as_str() {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(conversion(value, "a boolean", range)),
        },
        other => Err(conversion(other, "a boolean", range)),
    }
}

fn to_int(value: &Value, range: &Range<usize>) -> Result<Value, Failure> {
    let number = match value {
        Value::Int(number) => Some(*number),
        Value::Float(number) => truncate(number.get()),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.map(Value::Int);
    number.ok_or_else(|| conversion(value, "a whole number", range))
}

/// Towards zero, when the result has room in 64 bits.
fn truncate(number: f64) -> Option<i64> {
    /// 2^63, the first whole number that is too large.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the range, as has been seen"
    )]
    (number > -BEYOND && number < BEYOND).then_some(number as i64)
}

fn to_float(value: &Value, range: &Range<usize>) -> Result<Value, Failure> {
    let number = match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "CEL's conversion takes the nearest"
        )]
        Value::Int(number) => Float::new(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(text) => text.parse().ok().and_then(Float::new),
        _ => None,
    };
    let number = number.map(Value::Float);
    number.ok_or_else(|| conversion(value, "a number", range))
}

fn conversion(value: &Value, wanted: &'static str, range: &Range<usize>) -> Failure {
    let value = match value {
        Value::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        other => Type::of(other).described().to_owned(),
    };
    Failure::new(range, EvaluateErrorKind::Conversion { value, wanted })
}
