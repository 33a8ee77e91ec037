//! The JSON forms of expressions and templates. A template's must be unambiguous: a literal that contains `${{` (a branch
//! name somebody chose) is a string on the wire, and strings are never parsed.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
    ser::SerializeSeq,
};

use super::{Expression, Template, template::Part};

impl Serialize for Expression {
    /// Its source.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Self::parse(&source).map_err(|mistake| {
            de::Error::custom(format_args!("in the expression {source:?}: {mistake}"))
        })
    }
}

impl Serialize for Template {
    /// A literal is a string; anything else a list of strings and `{"expression": ".."}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(literal) = self.as_literal() {
            return serializer.serialize_str(literal);
        }
        let mut parts = serializer.serialize_seq(Some(self.parts.len()))?;
        for part in &self.parts {
            match part {
                Part::Text(text) => parts.serialize_element(text)?,
                Part::Expression { expression, .. } => {
                    parts.serialize_element(&WireExpression {
                        expression: expression.clone(),
                    })?;
                }
            }
        }
        parts.end()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireExpression {
    expression: Expression,
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TemplateVisitor)
    }
}

struct TemplateVisitor;

impl<'de> Visitor<'de> for TemplateVisitor {
    type Value = Template;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string, or a list of strings and expressions")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Template, E> {
        Ok(Template::literal(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Template, E> {
        Ok(Template::literal(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Template, A::Error> {
        let mut template = Template::default();
        while let Some(part) = parts.next_element()? {
            match part {
                WirePart(Part::Text(text)) => template.push_text(text),
                WirePart(part) => template.parts.push(part),
            }
        }
        Ok(template)
    }
}

struct WirePart(Part);

impl<'de> Deserialize<'de> for WirePart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor).map(Self)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string or {\"expression\": \"..\"}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Part, E> {
        Ok(Part::Text(text.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Part, A::Error> {
        let part = WireExpression::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Part::Expression {
            expression: part.expression,
            offset: 0,
        })
    }
}
