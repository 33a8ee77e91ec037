//! The tree of an expression. Chains of operators and of members are flat, so that the depth of the tree is bounded by
//! the nesting of brackets, and no walk over it can exhaust the stack.

use std::ops::Range;

use super::{
    PatternFunction, Status, Value,
    function::{Function, Macro},
};

/// A part of an expression and its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) range: Range<usize>,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeKind {
    Literal(Value),
    /// One of [`super::variable::VARIABLES`].
    Variable(&'static str),
    /// A macro's own variable: how many macros are open around its own.
    Local(usize),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `a && b && c` or `a || b || c`.
    Logic(Logic, Vec<Node>),
    /// Operators of one precedence, from left to right.
    Chain(Box<Node>, Vec<(Operator, Node)>),
    /// `condition ? then : otherwise`
    Choice(Box<[Node; 3]>),
    /// `root.a["b"].c()`
    Member(Box<Node>, Vec<Member>),
    /// A function with arguments before which nothing stands.
    Call(Function, Vec<Node>),
    Always,
    Status(Status),
    /// Index into the expression's patterns.
    Pattern(PatternFunction, usize),
    /// `has(a.b)`: `a`, `b`.
    Has(Box<Node>, String),
}

/// What follows a value behind a point or in brackets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// The name, or what stands between the brackets.
    pub(super) range: Range<usize>,
    /// Where it ends, brackets included.
    pub(super) end: usize,
    pub(super) kind: MemberKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum MemberKind {
    Field(String),
    Index(Node),
    Method(Function, Vec<Node>),
    /// `list.map(x, body)`; with three arguments the second decides which elements count.
    Macro(Macro, Option<Box<Node>>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Logic {
    /// The value of one side that decides the whole.
    pub(super) const fn decisive(self) -> bool {
        matches!(self, Self::Or)
    }

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
        }
    }
}

impl Operator {
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Node {
    /// The part as a message names it: `` `branch` ``, or `this` when it is long.
    pub(super) fn subject(source: &str, range: Range<usize>) -> String {
        match source.get(range) {
            Some(text) if text.len() <= SUBJECT && !text.contains('\n') => format!("`{text}`"),
            _ => "this".to_owned(),
        }
    }

    /// The path a variable and some members write out: `steps`, `build`, `outputs`.
    pub(super) fn path<'n>(root: &'n Self, members: &'n [Member]) -> Option<Vec<&'n str>> {
        let NodeKind::Variable(name) = root.kind else {
            return None;
        };
        let keys = members.iter().map(|member| match &member.kind {
            MemberKind::Field(key)
            | MemberKind::Index(Self {
                kind: NodeKind::Literal(Value::Text(key)),
                ..
            }) => Some(key.as_str()),
            _ => None,
        });
        std::iter::once(Some(name)).chain(keys).collect()
    }

    /// The bytes of a value and the members behind it that come before another one.
    pub(super) fn before(&self, root: &Self, members: &[Member]) -> Range<usize> {
        match members.last() {
            None => root.range.clone(),
            Some(last) => self.range.start..last.end,
        }
    }
}

/// Longer texts are not repeated in messages.
const SUBJECT: usize = 40;
