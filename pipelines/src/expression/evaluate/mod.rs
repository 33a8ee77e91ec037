//! Computes an expression's value from what is known. `None` stands for a value that is not known yet.
//!
//! `operator` and `function` know values and nothing of the tree; `member` goes into values; this file is the walk.

mod function;
mod member;
mod operator;
mod regex;

use std::{borrow::Cow, ops::Range};

use indexmap::IndexMap;

use super::{
    Budget, EvaluateErrorKind, Known, Outcome, PatternFunction, Type, Value, Values,
    budget::{Spent, bytes, weight},
    error::Failure,
    node::{Logic, Node, NodeKind, Operator},
    parser::Parsed,
};

/// A value, lent by the variables or the tree where it can be; `None` when it is not known yet.
type Partial<'v> = Option<Cow<'v, Value>>;

pub(super) fn evaluate(parsed: &Parsed, values: &dyn Values) -> Result<Outcome, Failure> {
    let mut evaluator = Evaluator {
        parsed,
        values,
        budget: Budget::default(),
        locals: Vec::new(),
    };
    Ok(match evaluator.node(&parsed.root)? {
        Some(value) => Outcome::Known(evaluator.own(value, &parsed.root.range)?),
        None => Outcome::Unknown,
    })
}

struct Evaluator<'v> {
    parsed: &'v Parsed,
    values: &'v dyn Values,
    budget: Budget,
    /// The values of the variables of macros, outermost first.
    locals: Vec<Cow<'v, Value>>,
}

const fn owned<'v>(value: Value) -> Partial<'v> {
    Some(Cow::Owned(value))
}

impl<'v> Evaluator<'v> {
    fn node(&mut self, node: &'v Node) -> Result<Partial<'v>, Failure> {
        self.spend(1, &node.range)?;
        Ok(match &node.kind {
            NodeKind::Literal(value) => Some(Cow::Borrowed(value)),
            NodeKind::Variable(name) => match self.values.variable(name) {
                Known::Value(value) => owned(value),
                Known::Borrowed(value) => Some(Cow::Borrowed(value)),
                Known::Unknown => None,
            },
            NodeKind::Local(index) => {
                let value = self.locals.get(*index).cloned();
                if let Some(Cow::Owned(value)) = &value {
                    self.spend(weight(value), &node.range)?;
                }
                value
            }
            NodeKind::List(items) => self.list(items)?,
            NodeKind::Map(entries) => self.map(entries)?,
            NodeKind::Not(operand) => match self.condition(operand, "`!` wants")? {
                Some(value) => owned(Value::Bool(!value)),
                None => None,
            },
            NodeKind::Negate(operand) => match self.node(operand)? {
                Some(value) => owned(operator::negate(&value, &operand.range)?),
                None => None,
            },
            NodeKind::Logic(logic, parts) => self.logic(*logic, parts)?,
            NodeKind::Chain(first, rest) => self.chain(first, rest)?,
            NodeKind::Choice(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                match self.condition(condition, "`?` wants")? {
                    Some(true) => self.node(then)?,
                    Some(false) => self.node(otherwise)?,
                    None => None,
                }
            }
            NodeKind::Member(root, members) => self.members(node, root, members)?,
            NodeKind::Call(function, arguments) => {
                let mut all = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    all.push((self.node(argument)?, argument.range.clone()));
                }
                self.call(*function, all)?
            }
            NodeKind::Always => owned(Value::Bool(true)),
            NodeKind::Status(status) => self.values.status(*status).map(|is| Cow::Owned(is.into())),
            NodeKind::Pattern(function, index) => self.pattern(*function, *index),
            NodeKind::Has(operand, key) => self.has(operand, key)?,
        })
    }

    fn list(&mut self, items: &'v [Node]) -> Result<Partial<'v>, Failure> {
        let mut values = Some(Vec::with_capacity(items.len()));
        for item in items {
            let value = self.node(item)?;
            values = match (values, value) {
                (Some(mut values), Some(value)) => {
                    values.push(self.own(value, &item.range)?);
                    Some(values)
                }
                _ => None,
            };
        }
        Ok(values.map(|values| Cow::Owned(Value::List(values))))
    }

    fn map(&mut self, entries: &'v [(Node, Node)]) -> Result<Partial<'v>, Failure> {
        let mut map = Some(IndexMap::with_capacity(entries.len()));
        for (key_node, value_node) in entries {
            let key = self.node(key_node)?;
            let value = self.node(value_node)?;
            let (Some(key), Some(value)) = (key, value) else {
                map = None;
                continue;
            };
            let key = match self.own(key, &key_node.range)? {
                Value::Text(key) => key,
                other => return Err(self.wrong(&key_node.range, &other, "keys are strings")),
            };
            let value = self.own(value, &value_node.range)?;
            if let Some(map) = &mut map
                && map.insert(key.clone(), value).is_some()
            {
                let kind = EvaluateErrorKind::DuplicateKey(key);
                return Err(Failure::new(&key_node.range, kind));
            }
        }
        Ok(map.map(|map| Cow::Owned(Value::Map(map))))
    }

    /// One side that decides does so whatever the others are, mistakes included: CEL's logic is the same from both sides.
    fn logic(&mut self, logic: Logic, parts: &'v [Node]) -> Result<Partial<'v>, Failure> {
        let who = match logic {
            Logic::And => "`&&` wants",
            Logic::Or => "`||` wants",
        };
        let mut verdict = Verdict::new(logic.decisive());
        for part in parts {
            if verdict.add(self.condition(part, who))? {
                break;
            }
        }
        verdict.value()
    }

    fn chain(
        &mut self,
        first: &'v Node,
        rest: &'v [(Operator, Node)],
    ) -> Result<Partial<'v>, Failure> {
        let mut left = self.node(first)?;
        for (operator, node) in rest {
            let right = self.node(node)?;
            let range = first.range.start..node.range.end;
            left = match (left, right) {
                (Some(left), Some(right)) => {
                    self.spend(operator::cost(*operator, &left, &right), &range)?;
                    owned(operator::apply(*operator, left, &right, &range)?)
                }
                _ => None,
            };
        }
        Ok(left)
    }

    fn pattern(&self, function: PatternFunction, index: usize) -> Partial<'v> {
        let globs = &self.parsed.patterns.get(index)?.globs;
        let value = match function {
            PatternFunction::Changed => self.values.changed(globs)?.into(),
            PatternFunction::HashFiles => self.values.hash_files(globs)?.into(),
        };
        owned(value)
    }

    /// A part that has to be true or false.
    fn condition(&mut self, node: &'v Node, who: &str) -> Result<Option<bool>, Failure> {
        match self.node(node)?.as_deref() {
            Some(Value::Bool(value)) => Ok(Some(*value)),
            None => Ok(None),
            Some(other) => {
                let wanted = format!("{who} true or false");
                Err(self.wrong(&node.range, other, wanted))
            }
        }
    }

    fn wrong(&self, range: &Range<usize>, found: &Value, wanted: impl Into<String>) -> Failure {
        let subject = Node::subject(&self.parsed.source, range.clone());
        let kind = EvaluateErrorKind::WrongType {
            found: format!("{subject} is {}", Type::of(found).described()),
            wanted: wanted.into(),
        };
        Failure::new(range, kind)
    }

    /// A value of its own, the copy paid for.
    fn own(&self, value: Cow<'v, Value>, range: &Range<usize>) -> Result<Value, Failure> {
        if let Cow::Borrowed(value) = value {
            self.spend(weight(value), range)?;
        }
        Ok(value.into_owned())
    }

    fn spend(&self, steps: u64, range: &Range<usize>) -> Result<(), Failure> {
        let common = self.values.budget();
        let spent = self
            .budget
            .spend(steps)
            .and_then(|()| common.map_or(Ok(()), |budget| budget.spend(steps)));
        spent.map_err(|Spent| Failure::new(range, EvaluateErrorKind::TooMuchWork))
    }

    fn spend_bytes(&self, count: usize, range: &Range<usize>) -> Result<(), Failure> {
        self.spend(bytes(count), range)
    }
}

/// Parts of an "and" or an "or", seen one after the other.
struct Verdict {
    decisive: bool,
    decided: bool,
    unknown: bool,
    failure: Option<Failure>,
}

impl Verdict {
    const fn new(decisive: bool) -> Self {
        Self {
            decisive,
            decided: false,
            unknown: false,
            failure: None,
        }
    }

    /// Whether that was enough.
    fn add(&mut self, part: Result<Option<bool>, Failure>) -> Result<bool, Failure> {
        match part {
            Ok(Some(value)) => self.decided = value == self.decisive,
            Ok(None) => self.unknown = true,
            Err(failure) if failure.kind == EvaluateErrorKind::TooMuchWork => return Err(failure),
            Err(failure) => {
                self.failure.get_or_insert(failure);
            }
        }
        Ok(self.decided)
    }

    fn value<'v>(self) -> Result<Partial<'v>, Failure> {
        match self {
            Self { decided: true, .. } => Ok(owned(Value::Bool(self.decisive))),
            // What is unknown may yet decide, and then the failure does not matter.
            Self { unknown: true, .. } => Ok(None),
            Self {
                failure: Some(failure),
                ..
            } => Err(failure),
            _ => Ok(owned(Value::Bool(!self.decisive))),
        }
    }
}
