//! Goes into values: keys, indices, elements, methods.

use std::{borrow::Cow, ops::Range};

use super::{Evaluator, Partial, Verdict, owned};
use crate::expression::{
    EvaluateErrorKind, Value,
    error::Failure,
    function::Macro,
    missing::missing,
    node::{Member, MemberKind, Node},
};

impl<'v> Evaluator<'v> {
    pub(super) fn members(
        &mut self,
        node: &'v Node,
        root: &'v Node,
        members: &'v [Member],
    ) -> Result<Partial<'v>, Failure> {
        let mut left = self.node(root)?;
        for (index, member) in members.iter().enumerate() {
            let Some(value) = left else {
                return Ok(None);
            };
            self.spend(1, &member.range)?;
            let before = Before {
                node,
                root,
                members: &members[..index],
            };
            left = match &member.kind {
                MemberKind::Field(key) => Some(self.field(value, (key, &member.range), &before)?),
                MemberKind::Index(inside) => self.index(value, inside, &before)?,
                MemberKind::Method(function, arguments) => {
                    let mut all = vec![(Some(value), before.range())];
                    for argument in arguments {
                        all.push((self.node(argument)?, argument.range.clone()));
                    }
                    self.call(*function, all)?
                }
                MemberKind::Macro(each, condition, body) => {
                    let elements = self.elements(value, &before.range())?;
                    self.each(*each, elements, condition.as_deref(), body)?
                }
            };
        }
        Ok(left)
    }

    fn field(
        &self,
        value: Cow<'v, Value>,
        (key, range): (&str, &Range<usize>),
        before: &Before<'v>,
    ) -> Result<Cow<'v, Value>, Failure> {
        let found = match value {
            Cow::Borrowed(Value::Map(entries)) => match entries.get(key) {
                Some(found) => return Ok(Cow::Borrowed(found)),
                None => Cow::Borrowed(entries),
            },
            Cow::Owned(Value::Map(mut entries)) => match entries.swap_remove(key) {
                Some(found) => return Ok(Cow::Owned(found)),
                None => Cow::Owned(entries),
            },
            other => {
                let wanted = format!("only a map has a member `{key}`");
                return Err(self.wrong(&before.range(), &other, wanted));
            }
        };
        let path = Node::path(before.root, before.members);
        let subject = Node::subject(&self.parsed.source, before.range());
        let keys = found.keys().map(String::as_str);
        Err(missing(path.as_deref(), &subject, (key, range.clone()), keys).into())
    }

    fn index(
        &mut self,
        value: Cow<'v, Value>,
        inside: &'v Node,
        before: &Before<'v>,
    ) -> Result<Partial<'v>, Failure> {
        let Some(index) = self.node(inside)? else {
            return Ok(None);
        };
        match (value.as_ref(), index.as_ref()) {
            (Value::Map(_), Value::Text(key)) => {
                self.field(value, (key, &inside.range), before).map(Some)
            }
            (Value::List(items), Value::Int(index)) => {
                let position = usize::try_from(*index).ok().filter(|at| *at < items.len());
                let Some(position) = position else {
                    let kind = EvaluateErrorKind::NoSuchElement {
                        length: items.len(),
                        index: *index,
                    };
                    return Err(Failure::new(&inside.range, kind));
                };
                Ok(Some(match value {
                    Cow::Borrowed(Value::List(items)) => Cow::Borrowed(&items[position]),
                    Cow::Owned(Value::List(mut items)) => Cow::Owned(items.swap_remove(position)),
                    other => other,
                }))
            }
            (Value::Map(_), index) => {
                Err(self.wrong(&inside.range, index, "a map is indexed by strings"))
            }
            (Value::List(_), index) => {
                Err(self.wrong(&inside.range, index, "a list is indexed by whole numbers"))
            }
            (other, _) => Err(self.wrong(
                &before.range(),
                other,
                "only a list or a map can be indexed",
            )),
        }
    }

    /// `has(operand.key)`
    pub(super) fn has(&mut self, operand: &'v Node, key: &str) -> Result<Partial<'v>, Failure> {
        match self.node(operand)?.as_deref() {
            None => Ok(None),
            Some(Value::Map(entries)) => Ok(owned(entries.contains_key(key).into())),
            Some(other) => Err(self.wrong(&operand.range, other, "`has` wants a map")),
        }
    }

    /// What a macro goes over: the elements of a list, the keys of a map.
    fn elements(
        &self,
        value: Cow<'v, Value>,
        range: &Range<usize>,
    ) -> Result<Vec<Cow<'v, Value>>, Failure> {
        let keys = |entries: &indexmap::IndexMap<String, Value>| {
            let keys = entries
                .keys()
                .map(|key| Cow::Owned(Value::from(key.as_str())));
            keys.collect::<Vec<_>>()
        };
        match value {
            Cow::Borrowed(Value::List(items)) => {
                self.spend(items.len() as u64, range)?;
                Ok(items.iter().map(Cow::Borrowed).collect())
            }
            Cow::Owned(Value::List(items)) => Ok(items.into_iter().map(Cow::Owned).collect()),
            Cow::Borrowed(Value::Map(entries)) => {
                let size = entries.keys().map(String::len).sum();
                self.spend_bytes(size, range)?;
                self.spend(entries.len() as u64, range)?;
                Ok(keys(entries))
            }
            Cow::Owned(Value::Map(entries)) => Ok(keys(&entries)),
            other => Err(self.wrong(range, &other, "only a list or a map has elements")),
        }
    }

    fn each(
        &mut self,
        each: Macro,
        elements: Vec<Cow<'v, Value>>,
        condition: Option<&'v Node>,
        body: &'v Node,
    ) -> Result<Partial<'v>, Failure> {
        match each {
            Macro::All | Macro::Exists => {
                let mut verdict = Verdict::new(each == Macro::Exists);
                for element in elements {
                    let part = self.with(element, |it| it.condition(body, "a condition wants"));
                    if verdict.add(part)? {
                        break;
                    }
                }
                verdict.value()
            }
            Macro::ExistsOne => {
                let mut count = Some(0_u32);
                for element in elements {
                    let part = self.with(element, |it| it.condition(body, "a condition wants"))?;
                    count = count.and_then(|count| Some(count + u32::from(part?)));
                }
                Ok(count.map(|count| Cow::Owned((count == 1).into())))
            }
            Macro::Filter => {
                let mut kept = Some(Vec::new());
                for element in elements {
                    let copy = element.clone();
                    let part = self.with(element, |it| it.condition(body, "`filter` wants"))?;
                    kept = match (kept, part) {
                        (Some(mut kept), Some(true)) => {
                            kept.push(self.own(copy, &body.range)?);
                            Some(kept)
                        }
                        (kept, Some(false)) => kept,
                        _ => None,
                    };
                }
                Ok(kept.map(|kept| Cow::Owned(Value::List(kept))))
            }
            Macro::Map => self.map_each(elements, condition, body),
        }
    }

    fn map_each(
        &mut self,
        elements: Vec<Cow<'v, Value>>,
        condition: Option<&'v Node>,
        body: &'v Node,
    ) -> Result<Partial<'v>, Failure> {
        let mut results = Some(Vec::new());
        for element in elements {
            let result = self.with(element, |it| -> Result<Option<Partial<'v>>, Failure> {
                let wanted = match condition {
                    Some(condition) => it.condition(condition, "the condition of `map` wants")?,
                    None => Some(true),
                };
                Ok(match wanted {
                    Some(true) => it.node(body)?.map(Some),
                    Some(false) => Some(None),
                    None => None,
                })
            })?;
            results = match (results, result) {
                (Some(mut results), Some(Some(result))) => {
                    results.push(self.own(result, &body.range)?);
                    Some(results)
                }
                (results, Some(None)) => results,
                _ => None,
            };
        }
        Ok(results.map(|results| Cow::Owned(Value::List(results))))
    }

    /// Does something with one more local variable.
    fn with<T>(&mut self, local: Cow<'v, Value>, work: impl FnOnce(&mut Self) -> T) -> T {
        self.locals.push(local);
        let result = work(self);
        self.locals.pop();
        result
    }
}

/// What stands before a member.
struct Before<'v> {
    node: &'v Node,
    root: &'v Node,
    members: &'v [Member],
}

impl Before<'_> {
    fn range(&self) -> Range<usize> {
        self.node.before(self.root, self.members)
    }
}
