//! The types of an expression's parts, and what cannot be right about them. What can be anything is let through.

use std::{borrow::Cow, ops::Range};

use super::{
    Mistake, Type, Types,
    function::{Function, Macro},
    missing::missing,
    node::{Logic, Member, MemberKind, Node, NodeKind, Operator},
    variable,
};

/// Mistakes of one expression; those behind them are mostly their consequences.
const MISTAKES: usize = 8;

pub(super) struct Checker<'t> {
    source: &'t str,
    types: &'t dyn Types,
    locals: Vec<Type>,
    mistakes: Vec<Mistake>,
}

type Typed<'t> = Cow<'t, Type>;

const fn known<'t>(ty: Type) -> Typed<'t> {
    Cow::Owned(ty)
}

const ANY: Typed<'static> = Cow::Owned(Type::Any);

impl<'t> Checker<'t> {
    pub(super) fn new(source: &'t str, types: &'t dyn Types) -> Self {
        Self {
            source,
            types,
            locals: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// In the order of their places.
    pub(super) fn mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| mistake.range.start);
        self.mistakes
    }

    pub(super) fn node(&mut self, node: &Node) -> Typed<'t> {
        match &node.kind {
            NodeKind::Literal(value) => known(Type::of(value)),
            NodeKind::Variable(name) => match self.types.variable(name) {
                Some(known) => Cow::Borrowed(known),
                None => variable::find(name).map_or(ANY, |variable| known((variable.default)())),
            },
            NodeKind::Local(index) => self.locals.get(*index).cloned().map_or(ANY, known),
            NodeKind::List(items) => {
                let element = items.iter().map(|item| self.node(item).into_owned());
                let element = element.reduce(Type::join).unwrap_or_default();
                known(Type::List(Box::new(element)))
            }
            NodeKind::Map(entries) => self.map(entries),
            NodeKind::Not(operand) => self.boolean(operand, "`!` wants"),
            NodeKind::Negate(operand) => self.negated(operand),
            NodeKind::Logic(logic, parts) => {
                for part in parts {
                    self.boolean(
                        part,
                        match logic {
                            Logic::And => "`&&` wants",
                            Logic::Or => "`||` wants",
                        },
                    );
                }
                known(Type::Bool)
            }
            NodeKind::Chain(first, rest) => self.chain(node, first, rest),
            NodeKind::Choice(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                self.boolean(condition, "`?` wants");
                let then = self.node(then).into_owned();
                known(then.join(self.node(otherwise).into_owned()))
            }
            NodeKind::Member(root, members) => self.members(node, root, members),
            NodeKind::Call(function, arguments) => {
                let arguments: Vec<_> = arguments
                    .iter()
                    .map(|argument| (self.node(argument), argument.range.clone()))
                    .collect();
                self.call(*function, &arguments)
            }
            NodeKind::Always | NodeKind::Status(_) => known(Type::Bool),
            NodeKind::Pattern(function, _) => known(match function {
                super::PatternFunction::Changed => Type::Bool,
                super::PatternFunction::HashFiles => Type::Text,
            }),
            NodeKind::Has(operand, _) => {
                let found = self.node(operand);
                if !found.is_map() && *found != Type::Any {
                    self.wrong(operand.range.clone(), &found, "`has` wants a map");
                }
                known(Type::Bool)
            }
        }
    }

    fn map(&mut self, entries: &[(Node, Node)]) -> Typed<'t> {
        let mut values = Vec::new();
        for (key, value) in entries {
            let found = self.node(key);
            if !matches!(*found, Type::Text | Type::Any) {
                self.wrong(key.range.clone(), &found, "keys are strings");
            }
            values.push((key, self.node(value).into_owned()));
        }
        let written = |(key, value): &(&Node, Type)| match &key.kind {
            NodeKind::Literal(super::Value::Text(key)) => Some((key.clone(), value.clone())),
            _ => None,
        };
        known(match values.iter().map(written).collect() {
            Some(entries) => Type::Record(entries),
            None => {
                let values = values.into_iter().map(|(_, value)| value);
                Type::Map(Box::new(values.reduce(Type::join).unwrap_or_default()))
            }
        })
    }

    fn boolean(&mut self, node: &Node, who: &str) -> Typed<'t> {
        let found = self.node(node);
        if !matches!(*found, Type::Bool | Type::Any) {
            self.not_boolean(node, &found, who);
        }
        known(Type::Bool)
    }

    /// That a part, or the whole, has to be true or false and never is.
    pub(super) fn not_boolean(&mut self, node: &Node, found: &Type, who: &str) {
        let subject = Node::subject(self.source, node.range.clone());
        let message = format!(
            "{subject} is {}, and {who} true or false",
            found.described()
        );
        let mistake = Mistake::new(node.range.clone(), message);
        let simple = subject != "this";
        self.add(match found {
            Type::Text if simple => {
                mistake.help(format!("compare it: {} != \"\"", subject.trim_matches('`')))
            }
            _ => mistake,
        });
    }

    fn negated(&mut self, operand: &Node) -> Typed<'t> {
        let found = self.node(operand);
        if !found.is_number() && *found != Type::Any {
            self.wrong(operand.range.clone(), &found, "`-` wants a number");
            return ANY;
        }
        found
    }

    fn chain(&mut self, node: &Node, first: &Node, rest: &[(Operator, Node)]) -> Typed<'t> {
        let mut left = (self.node(first), first.range.clone());
        for (operator, right) in rest {
            let found = self.node(right);
            let result = self.operator(*operator, &left, (&found, right));
            left = (known(result), node.range.start..right.range.end);
        }
        left.0
    }

    fn operator(
        &mut self,
        operator: Operator,
        (left, left_range): &(Typed<'t>, Range<usize>),
        (right, right_node): (&Type, &Node),
    ) -> Type {
        let result = result(operator, left, right);
        let allowed = allowed(operator, left, right);
        if allowed {
            return result;
        }
        let name = |range: Range<usize>| Node::subject(self.source, range);
        let range = left_range.start..right_node.range.end;
        let (one, other) = (name(left_range.clone()), name(right_node.range.clone()));
        let (is, other_is) = (left.described(), right.described());
        let equality = matches!(operator, Operator::Equal | Operator::Unequal);
        let message = if equality {
            format!("{one} is {is} and {other} is {other_is}: they are never equal")
        } else {
            format!(
                "`{}` cannot take {is} ({one}) and {other_is} ({other})",
                operator.sign()
            )
        };
        let mistake = Mistake::new(range, message);
        let text = *left == Cow::Owned(Type::Text) || *right == Type::Text;
        let number = left.is_number() || right.is_number();
        self.add(match operator {
            Operator::In if *right == Type::Text => {
                mistake.help("for a part of a string: TEXT.contains(PART)")
            }
            Operator::Add if text => mistake.help("`string(..)` makes a string of it"),
            _ if equality && text && number => {
                mistake.help("write the number in quotes, or convert with `int(..)`")
            }
            _ if left.is_number() && right.is_number() => {
                mistake.help("`double(..)` converts a whole number")
            }
            _ => mistake,
        });
        result
    }

    fn members(&mut self, node: &Node, root: &Node, members: &[Member]) -> Typed<'t> {
        let mut left = self.node(root);
        for (index, member) in members.iter().enumerate() {
            let range = node.before(root, &members[..index]);
            // Asked for only when a key is missing, and as long as the members before: not made for every one.
            let path = match *left {
                Type::Record(_) => Node::path(root, &members[..index]),
                _ => None,
            };
            left = match &member.kind {
                MemberKind::Field(key) => {
                    self.field(left, (key, member.range.clone()), path, range)
                }
                MemberKind::Index(inside) => self.index(left, inside, path, range),
                MemberKind::Method(function, arguments) => {
                    let mut all = vec![(left, range)];
                    for argument in arguments {
                        all.push((self.node(argument), argument.range.clone()));
                    }
                    self.call(*function, &all)
                }
                MemberKind::Macro(each, condition, body) => {
                    self.each(*each, (left, range), condition.as_deref(), body)
                }
            };
        }
        left
    }

    fn field(
        &mut self,
        left: Typed<'t>,
        (key, at): (&str, Range<usize>),
        path: Option<Vec<&str>>,
        range: Range<usize>,
    ) -> Typed<'t> {
        let entries = match left {
            Cow::Borrowed(Type::Record(entries)) => match entries.get(key) {
                Some(found) => return Cow::Borrowed(found),
                None => Cow::Borrowed(entries),
            },
            Cow::Owned(Type::Record(mut entries)) => match entries.swap_remove(key) {
                Some(found) => return known(found),
                None => Cow::Owned(entries),
            },
            Cow::Borrowed(Type::Map(value)) => return Cow::Borrowed(value),
            Cow::Owned(Type::Map(value)) => return known(*value),
            other => {
                if *other != Type::Any {
                    self.wrong(range, &other, &format!("only a map has a member `{key}`"));
                }
                return ANY;
            }
        };
        let subject = Node::subject(self.source, range);
        let keys = entries.keys().map(String::as_str);
        self.add(missing(path.as_deref(), &subject, (key, at), keys));
        ANY
    }

    fn index(
        &mut self,
        left: Typed<'t>,
        inside: &Node,
        path: Option<Vec<&str>>,
        range: Range<usize>,
    ) -> Typed<'t> {
        if let (true, NodeKind::Literal(super::Value::Text(key))) = (left.is_map(), &inside.kind) {
            return self.field(left, (key, inside.range.clone()), path, range);
        }
        let found = self.node(inside);
        let (wanted, message) = match *left {
            Type::Any => return ANY,
            Type::List(_) => (Type::Int, "a list is indexed by whole numbers"),
            Type::Map(_) | Type::Record(_) => (Type::Text, "a map is indexed by strings"),
            _ => {
                self.wrong(range, &left, "only a list or a map can be indexed");
                return ANY;
            }
        };
        if *found != wanted && *found != Type::Any {
            self.wrong(inside.range.clone(), &found, message);
        }
        known(left.into_owned().element())
    }

    fn each(
        &mut self,
        each: Macro,
        (left, range): (Typed<'t>, Range<usize>),
        condition: Option<&Node>,
        body: &Node,
    ) -> Typed<'t> {
        let element = match left.as_ref() {
            Type::List(element) => element.as_ref().clone(),
            Type::Map(_) | Type::Record(_) => Type::Text,
            Type::Any => Type::Any,
            other => {
                self.wrong(range, other, "only a list or a map has elements");
                Type::Any
            }
        };
        self.locals.push(element.clone());
        if let Some(condition) = condition {
            self.boolean(condition, "the condition of `map` wants");
        }
        let result = match each {
            Macro::All | Macro::Exists | Macro::ExistsOne => {
                self.boolean(body, "a condition wants");
                Type::Bool
            }
            Macro::Filter => {
                self.boolean(body, "`filter` wants");
                Type::List(Box::new(element))
            }
            Macro::Map => Type::List(Box::new(self.node(body).into_owned())),
        };
        self.locals.pop();
        known(result)
    }

    fn call(&mut self, function: Function, arguments: &[(Typed<'t>, Range<usize>)]) -> Typed<'t> {
        let (parameters, result) = function.types();
        for ((found, range), parameter) in arguments.iter().zip(parameters) {
            if !parameter.takes(found) {
                let wanted = format!("`{}` wants {}", function.name(), parameter.described());
                self.wrong(range.clone(), found, &wanted);
            }
        }
        known(result)
    }

    fn wrong(&mut self, range: Range<usize>, found: &Type, wanted: &str) {
        let subject = Node::subject(self.source, range.clone());
        let message = format!("{subject} is {}, and {wanted}", found.described());
        self.add(Mistake::new(range, message));
    }

    pub(super) fn add(&mut self, mistake: Mistake) {
        if self.mistakes.len() < MISTAKES {
            self.mistakes.push(mistake);
        }
    }
}

/// Whether an operator can take two types, and equality ever hold.
fn allowed(operator: Operator, left: &Type, right: &Type) -> bool {
    let any = *left == Type::Any || *right == Type::Any;
    match operator {
        Operator::Equal | Operator::Unequal => comparable(left, right),
        Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
            let ordered =
                |ty: &Type| ty.is_number() || matches!(ty, Type::Text | Type::Bool | Type::Any);
            comparable(left, right) && ordered(left) && ordered(right)
        }
        Operator::In => match right {
            Type::Any => true,
            Type::List(element) => comparable(left, element),
            Type::Map(_) | Type::Record(_) => matches!(left, Type::Text | Type::Any),
            _ => false,
        },
        Operator::Add => match (left, right) {
            (Type::Text, Type::Text) | (Type::List(_), Type::List(_)) => true,
            (Type::Any, other) | (other, Type::Any) => {
                other.is_number() || matches!(other, Type::Text | Type::List(_) | Type::Any)
            }
            _ => left == right && left.is_number(),
        },
        Operator::Remainder => {
            let whole = |ty: &Type| matches!(ty, Type::Int | Type::Any);
            whole(left) && whole(right)
        }
        Operator::Subtract | Operator::Multiply | Operator::Divide => {
            let number = |ty: &Type| ty.is_number() || *ty == Type::Any;
            number(left) && number(right) && (any || left == right)
        }
    }
}

/// Whether values of two types can be equal.
fn comparable(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::List(left), Type::List(right)) => comparable(left, right),
        _ if left.is_map() && right.is_map() => true,
        _ if left.is_number() && right.is_number() => true,
        _ => left == right,
    }
}

fn result(operator: Operator, left: &Type, right: &Type) -> Type {
    match operator {
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide => {
            match (left, right) {
                (Type::Any, other) | (other, Type::Any) => other.clone(),
                _ => left.clone().join(right.clone()),
            }
        }
        Operator::Remainder => Type::Int,
        _ => Type::Bool,
    }
}
