//! Operators on values, as CEL's standard definitions have them.

use std::{borrow::Cow, cmp::Ordering, ops::Range};

use crate::expression::{
    EvaluateErrorKind, Float, Type, Value,
    budget::{bytes, weight},
    error::Failure,
    node::Operator,
};

/// Steps an operator takes: those that look into their operands, or copy them.
pub(super) fn cost(operator: Operator, left: &Value, right: &Value) -> u64 {
    match operator {
        Operator::In => match right {
            Value::List(items) => items
                .iter()
                .map(|item| weight(item).min(weight(left)))
                .sum(),
            _ => 1,
        },
        Operator::Add => weight(left) + weight(right),
        _ => match (left, right) {
            (Value::Text(left), Value::Text(right)) => bytes(left.len().min(right.len())),
            (Value::List(_) | Value::Map(_), _) => weight(left).min(weight(right)),
            _ => 1,
        },
    }
}

pub(super) fn apply(
    operator: Operator,
    left: Cow<'_, Value>,
    right: &Value,
    range: &Range<usize>,
) -> Result<Value, Failure> {
    let wrong = || {
        let kind = EvaluateErrorKind::WrongOperands {
            operator: operator.sign(),
            left: Type::of(&left).described(),
            right: Type::of(right).described(),
        };
        Failure::new(range, kind)
    };
    let order = || compare(&left, right).ok_or_else(wrong);
    Ok(Value::Bool(match operator {
        Operator::Equal => equal(&left, right),
        Operator::Unequal => !equal(&left, right),
        Operator::Less => order()?.is_lt(),
        Operator::LessEqual => order()?.is_le(),
        Operator::Greater => order()?.is_gt(),
        Operator::GreaterEqual => order()?.is_ge(),
        Operator::In => match (left.as_ref(), right) {
            (left, Value::List(items)) => items.iter().any(|item| equal(left, item)),
            (Value::Text(key), Value::Map(entries)) => entries.contains_key(key),
            _ => return Err(wrong()),
        },
        Operator::Add
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide
        | Operator::Remainder => {
            return match (left.as_ref(), right) {
                (Value::Int(one), Value::Int(other)) => whole(operator, *one, *other, range),
                (Value::Float(one), Value::Float(other)) if operator != Operator::Remainder => {
                    float(operator, one.get(), other.get(), range)
                }
                _ if operator == Operator::Add => match join(&left, right) {
                    Some(joined) => Ok(joined),
                    None => Err(wrong()),
                },
                _ => Err(wrong()),
            };
        }
    }))
}

pub(super) fn negate(value: &Value, range: &Range<usize>) -> Result<Value, Failure> {
    let overflow = || Failure::new(range, EvaluateErrorKind::Overflow);
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Float(number) => finite(-number.get()).ok_or_else(overflow),
        other => {
            let kind = EvaluateErrorKind::WrongType {
                found: format!("its operand is {}", Type::of(other).described()),
                wanted: "`-` wants a number".to_owned(),
            };
            Err(Failure::new(range, kind))
        }
    }
}

fn whole(operator: Operator, one: i64, other: i64, range: &Range<usize>) -> Result<Value, Failure> {
    let divides = matches!(operator, Operator::Divide | Operator::Remainder);
    if divides && other == 0 {
        return Err(Failure::new(range, EvaluateErrorKind::DivisionByZero));
    }
    let result = match operator {
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide => one.checked_div(other),
        Operator::Remainder => one.checked_rem(other),
        _ => one.checked_add(other),
    };
    let result = result.map(Value::Int);
    result.ok_or_else(|| Failure::new(range, EvaluateErrorKind::Overflow))
}

fn float(operator: Operator, one: f64, other: f64, range: &Range<usize>) -> Result<Value, Failure> {
    let result = finite(match operator {
        Operator::Subtract => one - other,
        Operator::Multiply => one * other,
        Operator::Divide => one / other,
        _ => one + other,
    });
    result.ok_or_else(|| {
        let kind = if operator == Operator::Divide && other == 0.0 {
            EvaluateErrorKind::DivisionByZero
        } else {
            EvaluateErrorKind::Overflow
        };
        Failure::new(range, kind)
    })
}

fn finite(number: f64) -> Option<Value> {
    Float::new(number).map(Value::Float)
}

/// Two strings or two lists, one behind the other.
fn join(left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(Value::Text(format!("{left}{right}"))),
        (Value::List(left), Value::List(right)) => {
            Some(left.iter().chain(right).cloned().collect())
        }
        _ => None,
    }
}

/// Values of different types are not equal, except numbers, which are held against each other as numbers.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(one, other)| equal(one, other))
        }
        (Value::Map(left), Value::Map(right)) => {
            let same = |(key, value): (&String, &Value)| {
                right.get(key).is_some_and(|other| equal(value, other))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            compare(left, right) == Some(Ordering::Equal)
        }
        _ => left == right,
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    Some(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Float(left), Value::Float(right)) => return left.get().partial_cmp(&right.get()),
        (Value::Int(left), Value::Float(right)) => compare_mixed(*left, right.get()),
        (Value::Float(left), Value::Int(right)) => compare_mixed(*right, left.get()).reverse(),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        _ => return None,
    })
}

/// Exactly, also where a float has no room for every whole number.
fn compare_mixed(whole: i64, float: f64) -> Ordering {
    /// 2^63, the first whole number that is too large.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float >= BEYOND {
        return Ordering::Less;
    }
    if float < -BEYOND {
        return Ordering::Greater;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the range, as has been seen"
    )]
    let floor = float.floor() as i64;
    let fraction = float > float.floor();
    whole.cmp(&floor).then(if fraction {
        Ordering::Less
    } else {
        Ordering::Equal
    })
}
