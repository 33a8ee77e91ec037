//! The part of the parser below operators: literals, names, members, calls.

use super::{
    Mistake, Pattern, Reference, Value,
    function::{Callee, Macro, Signature, Style},
    literal,
    node::{Member, MemberKind, Node, NodeKind},
    parser::Parser,
    token::{Token, TokenKind},
    variable,
};
use crate::{glob::Glob, parse::closest};

/// Words CEL keeps for itself: no names. The first four are literals and an operator.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

impl Parser<'_> {
    /// A value and what follows it: `.field`, `.method()`, `[index]`.
    pub(super) fn member(&mut self) -> Result<Node, Mistake> {
        let start = self.here().start;
        let root = self.primary()?;
        let mut reference = match root.kind {
            NodeKind::Variable(name) => Some(Reference {
                path: vec![name.to_owned()],
                range: root.range.clone(),
            }),
            _ => None,
        };
        let mut end = root.range.end;
        let mut members = Vec::new();
        loop {
            let member = if self.accept(".") {
                self.named_member()?
            } else if self.accept("[") {
                let index = self.expression()?;
                Member {
                    range: index.range.clone(),
                    end: self.expect("]", "`]`")?,
                    kind: MemberKind::Index(index),
                }
            } else {
                break;
            };
            end = member.end;
            if let Some(mut known) = reference.take() {
                match &member.kind {
                    MemberKind::Field(key)
                    | MemberKind::Index(Node {
                        kind: NodeKind::Literal(Value::Text(key)),
                        ..
                    }) => {
                        known.path.push(key.clone());
                        known.range.end = end;
                        reference = Some(known);
                    }
                    _ => self.references.push(known),
                }
            }
            members.push(member);
        }
        self.references.extend(reference);
        if members.is_empty() {
            return Ok(root);
        }
        Ok(Node {
            range: start..end,
            kind: NodeKind::Member(Box::new(root), members),
        })
    }

    /// What stands behind a point.
    fn named_member(&mut self) -> Result<Member, Mistake> {
        let name = match self.peek() {
            Some(token) if token.kind == TokenKind::Word => token.clone(),
            _ => return Err(self.unexpected("a name behind the point")),
        };
        let word = &self.text[name.range.clone()];
        if RESERVED[..4].contains(&word) {
            let mistake = Mistake::new(name.range.clone(), format!("`{word}` is no name here"));
            return Err(mistake.help(format!("write it in brackets: [\"{word}\"]")));
        }
        self.take();
        let mut end = name.range.end;
        let kind = if self.accept("(") {
            let kind = self.method(&name)?;
            end = self.expect(")", "`,` or `)`")?;
            kind
        } else {
            MemberKind::Field(word.to_owned())
        };
        let range = name.range;
        Ok(Member { range, end, kind })
    }

    /// The arguments of a method, up to the closing bracket.
    fn method(&mut self, name: &Token) -> Result<MemberKind, Mistake> {
        let signature = self.signature(name, Style::Method)?;
        Ok(match signature.callee {
            Callee::Macro(each) => self.each(each, signature, name)?,
            Callee::Function(function) => {
                MemberKind::Method(function, self.arguments(signature, name)?)
            }
            _ => return Err(self.unknown_function(name, Style::Method)),
        })
    }

    fn each(
        &mut self,
        each: Macro,
        signature: &Signature,
        name: &Token,
    ) -> Result<MemberKind, Mistake> {
        let wanted = format!("a name for the element: {}", signature.usage());
        let local = match self.peek() {
            Some(token) if token.kind == TokenKind::Word => token.clone(),
            _ => return Err(self.unexpected(&wanted)),
        };
        let word = &self.text[local.range.clone()];
        let taken = variable::find(word).is_some() || self.locals.iter().any(|name| name == word);
        if taken || RESERVED.contains(&word) {
            let message = format!("`{word}` has a meaning already");
            return Err(Mistake::new(local.range, message).help(wanted));
        }
        self.take();
        self.expect(",", "`,`")?;
        self.locals.push(word.to_owned());
        let mut arguments = self.arguments(signature, name)?;
        self.locals.pop();
        let body = arguments.pop().map(Box::new);
        let condition = arguments.pop().map(Box::new);
        body.map(|body| MemberKind::Macro(each, condition, body))
            .ok_or_else(|| self.unexpected("a value"))
    }

    /// Arguments between brackets, their number checked. The closing bracket is left.
    fn arguments(&mut self, signature: &Signature, name: &Token) -> Result<Vec<Node>, Mistake> {
        // A macro's first argument, its variable, has been read.
        let read = usize::from(matches!(signature.callee, Callee::Macro(_)));
        let mut arguments = Vec::new();
        if !self.peek_sign(")") {
            arguments.push(self.expression()?);
            while self.accept(",") {
                arguments.push(self.expression()?);
            }
        }
        if (signature.least..=signature.most).contains(&(arguments.len() + read)) {
            return Ok(arguments);
        }
        let wanted = match (signature.least, signature.most) {
            (0, 0) => "no argument".to_owned(),
            (1, 1) => "one argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        let message = format!(
            "`{}` takes {wanted}, found {}",
            signature.name,
            arguments.len() + read
        );
        Err(Mistake::new(name.range.clone(), message).help(signature.usage()))
    }

    fn signature(&self, name: &Token, style: Style) -> Result<&'static Signature, Mistake> {
        let word = &self.text[name.range.clone()];
        Signature::find(word, style).ok_or_else(|| self.unknown_function(name, style))
    }

    fn unknown_function(&self, name: &Token, style: Style) -> Mistake {
        let word = &self.text[name.range.clone()];
        let mistake = Mistake::new(
            name.range.clone(),
            format!("no function is called `{word}`"),
        );
        let other = match style {
            Style::Global => Style::Method,
            Style::Method => Style::Global,
        };
        if let Some(signature) = Signature::find(word, other) {
            return mistake.help(format!("it is written `{}`", signature.usage()));
        }
        let camel = word.replace('_', "").to_lowercase();
        let written =
            |signature: &&Signature| signature.name.replace('_', "").to_lowercase() == camel;
        let styled = || {
            let all = super::function::SIGNATURES.iter();
            all.filter(|signature| signature.style == style)
        };
        let found = styled().find(written).map(|signature| signature.name);
        mistake.suggest(found.or_else(|| closest(word, styled().map(|signature| signature.name))))
    }

    fn primary(&mut self) -> Result<Node, Mistake> {
        let opens = |kind| !matches!(kind, TokenKind::Sign(sign) if !"([{-".contains(sign));
        let token = match self.peek() {
            Some(token) if opens(token.kind) => token.clone(),
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        let range = token.range.clone();
        let kind = match token.kind {
            TokenKind::Int => NodeKind::Literal(literal::int(self.text, &token, false)?),
            TokenKind::Float => NodeKind::Literal(literal::float(self.text, &token, false)?),
            TokenKind::Text => NodeKind::Literal(Value::Text(literal::string(self.text, &token)?)),
            TokenKind::Word => return self.word(&token),
            TokenKind::Sign("(") => {
                let mut inner = self.expression()?;
                inner.range = range.start..self.expect(")", "`)`")?;
                return Ok(inner);
            }
            TokenKind::Sign("[") => {
                let items = self.items("]", "`,` or `]`", |parser| parser.expression())?;
                return Ok(items.place(range.start, NodeKind::List));
            }
            TokenKind::Sign("{") => {
                let entries = self.items("}", "`,` or `}`", |parser| {
                    let key = parser.expression()?;
                    parser.expect(":", "`:` behind the key")?;
                    Ok((key, parser.expression()?))
                })?;
                return Ok(entries.place(range.start, NodeKind::Map));
            }
            TokenKind::Sign(_) => return self.negative(range.start),
        };
        Ok(Node { range, kind })
    }

    fn negative(&mut self, start: usize) -> Result<Node, Mistake> {
        let (value, end) = match self.peek() {
            Some(token) if token.kind == TokenKind::Int => {
                (literal::int(self.text, token, true)?, token.range.end)
            }
            Some(token) if token.kind == TokenKind::Float => {
                (literal::float(self.text, token, true)?, token.range.end)
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.take();
        Ok(Node {
            range: start..end,
            kind: NodeKind::Literal(value),
        })
    }

    /// What stands between brackets that have been opened, a comma allowed at its end.
    fn items<T>(
        &mut self,
        close: &str,
        wanted: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, Mistake>,
    ) -> Result<Items<T>, Mistake> {
        let mut items = Vec::new();
        while !self.peek_sign(close) {
            items.push(item(self)?);
            if !self.accept(",") {
                break;
            }
        }
        let end = self.expect(close, wanted)?;
        Ok(Items { items, end })
    }

    /// A keyword, a variable or a call.
    fn word(&mut self, token: &Token) -> Result<Node, Mistake> {
        let range = token.range.clone();
        let word = &self.text[range.clone()];
        let literal = match word {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
        if let Some(value) = literal {
            let kind = NodeKind::Literal(value);
            return Ok(Node { range, kind });
        }
        if RESERVED.contains(&word) {
            let message = format!("expected a value, found the reserved word `{word}`");
            return Err(Mistake::new(range, message));
        }
        if self.accept("(") {
            let kind = self.call(token)?;
            let range = range.start..self.expect(")", "`,` or `)`")?;
            if let NodeKind::Pattern(_, index) = kind {
                self.patterns[index].range = range.clone();
            }
            return Ok(Node { range, kind });
        }
        let local = self.locals.iter().position(|name| name == word);
        let kind = match (local, variable::find(word)) {
            (Some(local), _) => NodeKind::Local(local),
            (None, Some(variable)) => NodeKind::Variable(variable.name),
            (None, None) => return Err(self.unknown_name(token)),
        };
        Ok(Node { range, kind })
    }

    fn unknown_name(&self, token: &Token) -> Mistake {
        let word = &self.text[token.range.clone()];
        match Signature::find(word, Style::Global) {
            Some(signature) => {
                let message = format!("`{word}` is a function");
                Mistake::new(token.range.clone(), message)
                    .help(format!("call it: `{}`", signature.usage()))
            }
            None => self.unknown_variable(token),
        }
    }

    /// The arguments of a call, up to the closing bracket.
    fn call(&mut self, name: &Token) -> Result<NodeKind, Mistake> {
        let signature = self.signature(name, Style::Global)?;
        let mut arguments = self.arguments(signature, name)?;
        Ok(match signature.callee {
            Callee::Function(function) => NodeKind::Call(function, arguments),
            Callee::Always | Callee::Status(_) => {
                self.uses_status = true;
                match signature.callee {
                    Callee::Status(status) => NodeKind::Status(status),
                    _ => NodeKind::Always,
                }
            }
            Callee::Pattern(function) => {
                let globs = arguments.iter().map(|argument| self.glob(argument));
                let globs = globs.collect::<Result<_, _>>()?;
                let range = name.range.clone();
                self.patterns.push(Pattern {
                    function,
                    globs,
                    range,
                });
                NodeKind::Pattern(function, self.patterns.len() - 1)
            }
            Callee::Has => {
                let argument = arguments.pop();
                argument.and_then(presence).ok_or_else(|| {
                    let message = "`has` takes a member of a map";
                    Mistake::new(name.range.clone(), message)
                        .help("write `has(env.NAME)`, or `\"any name\" in env`")
                })?
            }
            Callee::Macro(_) => return Err(self.unknown_function(name, Style::Global)),
        })
    }

    fn glob(&self, argument: &Node) -> Result<String, Mistake> {
        let NodeKind::Literal(Value::Text(glob)) = &argument.kind else {
            let message = "a glob has to be written out, in quotes";
            let help = "files are looked at before anything is evaluated";
            return Err(Mistake::new(argument.range.clone(), message).help(help));
        };
        let parsed = Glob::parse(glob).map_err(|mut mistake| {
            mistake.range = argument.range.clone();
            mistake
        });
        parsed.map(|_| glob.clone())
    }
}

struct Items<T> {
    items: Vec<T>,
    end: usize,
}

impl<T> Items<T> {
    fn place(self, start: usize, kind: impl FnOnce(Vec<T>) -> NodeKind) -> Node {
        Node {
            range: start..self.end,
            kind: kind(self.items),
        }
    }
}

/// `a.b` as the question whether `a` has a `b`.
fn presence(node: Node) -> Option<NodeKind> {
    let NodeKind::Member(root, mut members) = node.kind else {
        return None;
    };
    let last = members.pop()?;
    let MemberKind::Field(key) = last.kind else {
        return None;
    };
    let operand = if members.is_empty() {
        *root
    } else {
        Node {
            range: node.range.start..members.last().map_or(last.end, |member| member.end),
            kind: NodeKind::Member(root, members),
        }
    };
    Some(NodeKind::Has(Box::new(operand), key))
}
