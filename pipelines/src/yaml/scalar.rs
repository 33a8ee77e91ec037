//! Scalars and what the core schema makes of them.
//!
//! Source: YAML 1.2.2, section 10.3.2, "Tag Resolution".

use std::rc::Rc;

/// A scalar: its text, escapes resolved, and its type. A plain number keeps the digits it was written with.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: Rc<str>,
    pub(crate) kind: ScalarKind,
}

/// The type that the core schema gives a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    Number,
    String,
}

impl ScalarKind {
    /// The type of a plain scalar without a tag.
    pub(super) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ if is_integer(text) || is_float(text) => Self::Number,
            _ => Self::String,
        }
    }

    /// The type that a core schema tag (`!!int`, here only `int`) gives a text; `None` when it does not fit.
    pub(super) fn of_tag(suffix: &str, text: &str) -> Option<Self> {
        let plain = Self::of_plain(text);
        match (suffix, plain) {
            ("str", _) => Some(Self::String),
            ("null", Self::Null) | ("bool", Self::Bool(_)) | ("float", Self::Number) => Some(plain),
            ("int", Self::Number) if is_integer(text) => Some(plain),
            _ => None,
        }
    }

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
        }
    }
}

fn is_integer(text: &str) -> bool {
    if let Some(octal) = text.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|b| (b'0'..=b'7').contains(&b));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, infinities and not-a-number.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        ),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits =
        digits(whole) && digits(fraction) && (!whole.is_empty() || !fraction.is_empty());
    mantissa_fits && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_schema_decides_the_type_of_a_plain_scalar() {
        for text in ["", "~", "null"] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::Null, "{text}");
        }
        for text in [
            "0", "-12", "+3", "0o17", "0xfF", "1.90", ".5", "1.", "1e3", "-1.5E-7", ".inf",
            "-.INF", ".nan",
        ] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::Number, "{text}");
        }
        for text in [
            "yes", "no", "on", "off", "y", "1_000", "0b1", "0o8", "1:30", ".", "e3", "1e", "+",
            "-.nan", "0x",
        ] {
            assert_eq!(ScalarKind::of_plain(text), ScalarKind::String, "{text}");
        }
    }

    #[test]
    fn a_tag_has_to_fit_its_text() {
        assert_eq!(ScalarKind::of_tag("str", "5"), Some(ScalarKind::String));
        assert_eq!(ScalarKind::of_tag("int", "5"), Some(ScalarKind::Number));
        assert_eq!(ScalarKind::of_tag("int", "5.0"), None);
        assert_eq!(ScalarKind::of_tag("bool", "yes"), None);
        assert_eq!(ScalarKind::of_tag("binary", "aGk="), None);
    }
}
