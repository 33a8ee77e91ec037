//! Tokens become a [`Node`] tree: recursive descent over CEL's grammar, one function a precedence.

use super::{
    Mistake, Pattern, Reference,
    node::{Logic, Node, NodeKind, Operator},
    token::{Lexer, Token, TokenKind},
    variable,
};
use crate::{limits, parse::closest};

/// An expression that was understood, and what it asks of its surroundings.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) source: String,
    pub(super) root: Node,
    pub(super) references: Vec<Reference>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) uses_status: bool,
}

pub(super) fn parse(text: &str) -> Result<Parsed, Mistake> {
    if text.len() > limits::EXPRESSION_BYTES {
        let message = format!(
            "the expression is {} bytes long, at most {} are allowed",
            text.len(),
            limits::EXPRESSION_BYTES
        );
        let help = "do this in a step's script and hand it on as an output";
        return Err(Mistake::new(0..text.len(), message).help(help));
    }
    let mut parser = Parser::new(text);
    let root = parser.expression()?;
    parser.end()?;
    Ok(Parsed {
        source: text.to_owned(),
        root,
        references: parser.references,
        patterns: parser.patterns,
        uses_status: parser.uses_status,
    })
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    /// What stopped the lexer: a mistake, unless the parser finds an earlier one.
    stopped: Option<Mistake>,
    depth: usize,
    /// The variables of the macros around this place, outermost first.
    pub(super) locals: Vec<String>,
    pub(super) references: Vec<Reference>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) uses_status: bool,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let mut lexer = Lexer::new(text, 0);
        let mut tokens = Vec::new();
        let stopped = loop {
            match lexer.next() {
                Ok(Some(token)) => tokens.push(token),
                Ok(None) => break None,
                Err(mistake) => break Some(mistake),
            }
        };
        Self {
            text,
            tokens,
            at: 0,
            stopped,
            depth: 0,
            locals: Vec::new(),
            references: Vec::new(),
            patterns: Vec::new(),
            uses_status: false,
        }
    }

    /// `or ? or : expression`, or just `or`.
    pub(super) fn expression(&mut self) -> Result<Node, Mistake> {
        self.deeper(1)?;
        let condition = self.logic(Logic::Or)?;
        let node = if self.accept("?") {
            let then = self.logic(Logic::Or)?;
            self.expect(":", "`:` and what to take otherwise")?;
            let otherwise = self.expression()?;
            Node {
                range: condition.range.start..otherwise.range.end,
                kind: NodeKind::Choice(Box::new([condition, then, otherwise])),
            }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn deeper(&mut self, levels: usize) -> Result<(), Mistake> {
        self.depth += levels;
        if self.depth > limits::EXPRESSION_DEPTH {
            let message = format!("nested more than {} deep", limits::EXPRESSION_DEPTH);
            return Err(Mistake::new(self.here(), message));
        }
        Ok(())
    }

    fn logic(&mut self, logic: Logic) -> Result<Node, Mistake> {
        let next = |parser: &mut Self| match logic {
            Logic::Or => parser.logic(Logic::And),
            Logic::And => parser.chain(&PRECEDENCES),
        };
        let first = next(self)?;
        let mut parts = vec![first];
        while self.accept(logic.sign()) {
            parts.push(next(self)?);
        }
        Ok(match parts.as_slice() {
            [first, .., last] => Node {
                range: first.range.start..last.range.end,
                kind: NodeKind::Logic(logic, parts),
            },
            _ => parts.remove(0),
        })
    }

    /// Operators of the first precedence over operands made of the others.
    fn chain(&mut self, precedences: &[&[Operator]]) -> Result<Node, Mistake> {
        let Some((operators, tighter)) = precedences.split_first() else {
            return self.unary();
        };
        let first = self.chain(tighter)?;
        let mut rest = Vec::new();
        while let Some(operator) = self.accept_operator(operators) {
            rest.push((operator, self.chain(tighter)?));
        }
        Ok(match rest.last() {
            Some((_, last)) => Node {
                range: first.range.start..last.range.end,
                kind: NodeKind::Chain(Box::new(first), rest),
            },
            None => first,
        })
    }

    /// Any number of `!`, or any number of `-`, before a value.
    fn unary(&mut self) -> Result<Node, Mistake> {
        let start = self.here().start;
        for (sign, wrap) in [
            ("!", NodeKind::Not as fn(Box<Node>) -> NodeKind),
            ("-", NodeKind::Negate),
        ] {
            let mut count = 0;
            while self.peek_sign(sign) && !(sign == "-" && self.number_follows()) {
                self.at += 1;
                count += 1;
            }
            if count == 0 {
                continue;
            }
            self.deeper(count)?;
            let mut node = self.member()?;
            for _ in 0..count {
                node = Node {
                    range: start..node.range.end,
                    kind: wrap(Box::new(node)),
                };
            }
            self.depth -= count;
            return Ok(node);
        }
        self.member()
    }

    /// Whether the token behind the next one is a number: a minus sign in front of it belongs to the literal.
    fn number_follows(&self) -> bool {
        let behind = self.tokens.get(self.at + 1);
        behind.is_some_and(|token| matches!(token.kind, TokenKind::Int | TokenKind::Float))
    }

    fn end(&mut self) -> Result<(), Mistake> {
        match self.tokens.get(self.at) {
            None => self.stopped.take().map_or(Ok(()), Err),
            Some(token) => {
                let word = &self.text[token.range.clone()];
                let message = format!("unexpected `{word}` behind the expression");
                let mistake = Mistake::new(token.range.clone(), message);
                Err(match word {
                    "and" => mistake.help("`&&` is true when both sides are"),
                    "or" => mistake.help("`||` is true when one side is"),
                    "is" => mistake.help("`==` compares"),
                    "not" => mistake.help("`!` turns true to false"),
                    _ => mistake,
                })
            }
        }
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn peek_sign(&self, sign: &str) -> bool {
        self.peek()
            .is_some_and(|token| matches!(token.kind, TokenKind::Sign(found) if found == sign))
    }

    /// Where the next token is; the end of the text when there is none.
    pub(super) fn here(&self) -> std::ops::Range<usize> {
        let end = self.text.len();
        self.peek().map_or(end..end, |token| token.range.clone())
    }

    pub(super) fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    pub(super) fn accept(&mut self, sign: &str) -> bool {
        let found = self.peek_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn accept_operator(&mut self, operators: &[Operator]) -> Option<Operator> {
        let token = self.peek()?;
        let written = &self.text[token.range.clone()];
        let found = operators
            .iter()
            .find(|operator| operator.sign() == written)?;
        self.at += 1;
        Some(*found)
    }

    /// The end of a sign that has to be there.
    pub(super) fn expect(&mut self, sign: &str, wanted: &str) -> Result<usize, Mistake> {
        let here = self.here();
        if self.accept(sign) {
            return Ok(here.end);
        }
        Err(self.unexpected(wanted))
    }

    /// The mistake that something else, or nothing, stands where `wanted` should.
    pub(super) fn unexpected(&mut self, wanted: &str) -> Mistake {
        if let Some(token) = self.peek() {
            let word = &self.text[token.range.clone()];
            let message = format!("expected {wanted}, found `{word}`");
            return Mistake::new(token.range.clone(), message);
        }
        self.stopped.take().unwrap_or_else(|| {
            let message = format!("expected {wanted}, but the expression ends here");
            Mistake::new(self.here(), message)
        })
    }

    /// A name that is neither a variable of the language nor of a macro around this place.
    pub(super) fn unknown_variable(&self, token: &Token) -> Mistake {
        let name = &self.text[token.range.clone()];
        let locals = self.locals.iter().map(String::as_str);
        let mut known: Vec<&str> = variable::names().collect();
        known.extend(locals);
        let suggestion = closest(name, known.iter().copied());
        let mistake = Mistake::new(
            token.range.clone(),
            format!("no variable is called `{name}`"),
        );
        if suggestion.is_some() {
            return mistake.suggest(suggestion);
        }
        mistake.help(format!(
            "there are {}; a string stands in quotes",
            known.join(", ")
        ))
    }
}

/// From the loosest to the tightest.
const PRECEDENCES: [&[Operator]; 3] = {
    use Operator::{
        Add, Divide, Equal, Greater, GreaterEqual, In, Less, LessEqual, Multiply, Remainder,
        Subtract, Unequal,
    };
    [
        &[Equal, Unequal, Less, LessEqual, Greater, GreaterEqual, In],
        &[Add, Subtract],
        &[Multiply, Divide, Remainder],
    ]
};
