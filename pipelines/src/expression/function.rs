//! The functions expressions may call: names, how they are called, how many arguments they take.

use super::{PatternFunction, Status, Type, Value};

/// A function without side effects or knowledge of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Bool,
    Contains,
    Double,
    EndsWith,
    Int,
    Join,
    LowerAscii,
    Matches,
    Replace,
    Size,
    Split,
    StartsWith,
    String,
    Trim,
    UpperAscii,
}

/// A method that evaluates an expression for every element of a list or every key of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// What a name that is called stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callee {
    Function(Function),
    Macro(Macro),
    Always,
    Status(Status),
    Pattern(PatternFunction),
    Has,
}

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `size(x)`
    Global,
    /// `x.size()`
    Method,
}

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) name: &'static str,
    pub(super) style: Style,
    /// The value before the point is none of them.
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) callee: Callee,
    /// For messages: the parentheses and what stands between them.
    pub(super) arguments: &'static str,
}

/// Most arguments of a call with globs.
const MANY: usize = 64;

const fn global(
    name: &'static str,
    (least, most): (usize, usize),
    arguments: &'static str,
    callee: Callee,
) -> Signature {
    Signature {
        name,
        style: Style::Global,
        least,
        most,
        callee,
        arguments,
    }
}

const fn method(
    name: &'static str,
    (least, most): (usize, usize),
    arguments: &'static str,
    callee: Callee,
) -> Signature {
    Signature {
        name,
        style: Style::Method,
        least,
        most,
        callee,
        arguments,
    }
}

/// Every way to call every function. The standard ones as CEL's language definition names them, those on strings and
/// lists as its string extension does.
pub(super) const SIGNATURES: [Signature; 30] = {
    use Callee::{Always, Function as Pure, Has, Macro as Each, Pattern, Status as Went};
    [
        global("success", (0, 0), "()", Went(Status::Success)),
        global("failure", (0, 0), "()", Went(Status::Failure)),
        global("cancelled", (0, 0), "()", Went(Status::Cancelled)),
        global("always", (0, 0), "()", Always),
        global(
            "changed",
            (1, MANY),
            "(\"GLOB\", ..)",
            Pattern(PatternFunction::Changed),
        ),
        global(
            "hash_files",
            (1, MANY),
            "(\"GLOB\", ..)",
            Pattern(PatternFunction::HashFiles),
        ),
        global("has", (1, 1), "(MAP.KEY)", Has),
        global("size", (1, 1), "(VALUE)", Pure(Function::Size)),
        global("string", (1, 1), "(VALUE)", Pure(Function::String)),
        global("int", (1, 1), "(VALUE)", Pure(Function::Int)),
        global("double", (1, 1), "(VALUE)", Pure(Function::Double)),
        global("bool", (1, 1), "(VALUE)", Pure(Function::Bool)),
        global(
            "matches",
            (2, 2),
            "(TEXT, \"REGEX\")",
            Pure(Function::Matches),
        ),
        method("size", (0, 0), "()", Pure(Function::Size)),
        method("contains", (1, 1), "(TEXT)", Pure(Function::Contains)),
        method("startsWith", (1, 1), "(TEXT)", Pure(Function::StartsWith)),
        method("endsWith", (1, 1), "(TEXT)", Pure(Function::EndsWith)),
        method("matches", (1, 1), "(\"REGEX\")", Pure(Function::Matches)),
        method("lowerAscii", (0, 0), "()", Pure(Function::LowerAscii)),
        method("upperAscii", (0, 0), "()", Pure(Function::UpperAscii)),
        method("trim", (0, 0), "()", Pure(Function::Trim)),
        method("replace", (2, 2), "(OLD, NEW)", Pure(Function::Replace)),
        method("split", (1, 1), "(SEPARATOR)", Pure(Function::Split)),
        method("join", (0, 1), "(SEPARATOR)", Pure(Function::Join)),
        method("all", (2, 2), "(x, CONDITION)", Each(Macro::All)),
        method("exists", (2, 2), "(x, CONDITION)", Each(Macro::Exists)),
        method(
            "exists_one",
            (2, 2),
            "(x, CONDITION)",
            Each(Macro::ExistsOne),
        ),
        method(
            "existsOne",
            (2, 2),
            "(x, CONDITION)",
            Each(Macro::ExistsOne),
        ),
        method("filter", (2, 2), "(x, CONDITION)", Each(Macro::Filter)),
        method("map", (2, 3), "(x, VALUE)", Each(Macro::Map)),
    ]
};

impl Signature {
    /// The function of a name, called in a style.
    pub(super) fn find(name: &str, style: Style) -> Option<&'static Self> {
        let mut signatures = SIGNATURES.iter();
        signatures.find(|signature| signature.name == name && signature.style == style)
    }

    /// How it is written: `size(VALUE)`, `TEXT.size()`.
    pub(super) fn usage(&self) -> String {
        let before = match (self.style, self.callee) {
            (Style::Global, _) => "",
            (Style::Method, Callee::Macro(_) | Callee::Function(Function::Join)) => "LIST.",
            (Style::Method, _) => "TEXT.",
        };
        format!("{before}{}{}", self.name, self.arguments)
    }
}

/// What a function takes as one of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Text,
    /// Something that has a size.
    Sized,
    /// Something that can be converted.
    Scalar,
    Texts,
}

impl Parameter {
    pub(super) fn takes(self, found: &Type) -> bool {
        match (self, found) {
            (_, Type::Any) | (Self::Text, Type::Text) => true,
            (Self::Sized, found) => found.is_map() || matches!(found, Type::Text | Type::List(_)),
            (Self::Scalar, found) => found.is_number() || matches!(found, Type::Text | Type::Bool),
            (Self::Texts, Type::List(element)) => Self::Text.takes(element),
            _ => false,
        }
    }

    /// The elements of a list are not looked at.
    pub(super) const fn takes_value(self, found: &Value) -> bool {
        match self {
            Self::Text => matches!(found, Value::Text(_)),
            Self::Sized => matches!(found, Value::Text(_) | Value::List(_) | Value::Map(_)),
            Self::Scalar => !matches!(found, Value::Null | Value::List(_) | Value::Map(_)),
            Self::Texts => matches!(found, Value::List(_)),
        }
    }

    pub(super) const fn described(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Sized => "a string, a list or a map",
            Self::Scalar => "a string, a number or a boolean",
            Self::Texts => "a list of strings",
        }
    }
}

impl Function {
    /// What it takes, what stands before the point first, and the type of its result.
    pub(super) fn types(self) -> (&'static [Parameter], Type) {
        use Parameter::{Scalar, Sized, Text, Texts};
        match self {
            Self::Bool => (&[Scalar], Type::Bool),
            Self::Double => (&[Scalar], Type::Float),
            Self::Int => (&[Scalar], Type::Int),
            Self::String => (&[Scalar], Type::Text),
            Self::Size => (&[Sized], Type::Int),
            Self::Contains | Self::EndsWith | Self::Matches | Self::StartsWith => {
                (&[Text, Text], Type::Bool)
            }
            Self::LowerAscii | Self::Trim | Self::UpperAscii => (&[Text], Type::Text),
            Self::Replace => (&[Text, Text, Text], Type::Text),
            Self::Join => (&[Texts, Text], Type::Text),
            Self::Split => (&[Text, Text], Type::List(Box::new(Type::Text))),
        }
    }

    /// For messages.
    pub(super) fn name(self) -> &'static str {
        let mut signatures = SIGNATURES.iter();
        let found = signatures.find(|signature| signature.callee == Callee::Function(self));
        found.map_or("", |signature| signature.name)
    }
}
