//! Whatever the text, it is answered, and what is written down is read back.

use pipelines::expression::{Expression, Template, Untyped, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::facts::{Facts, run};

/// Words of expressions, in any order.
fn token() -> impl Strategy<Value = String> {
    const TOKENS: &[&str] = &[
        "branch",
        "matrix",
        "env",
        "steps",
        "needs",
        "job",
        "inputs",
        "event",
        ".rust",
        ".jobs",
        ".images",
        ".outputs",
        ".LANG",
        "[\"unit tests\"]",
        "[0]",
        "['a']",
        ".size()",
        ".map(x, ",
        ".all(x, ",
        ".exists(x, ",
        ".filter(x, ",
        ".contains(",
        ".matches(",
        ".split(",
        ".join(",
        ".replace(",
        "size(",
        "string(",
        "int(",
        "has(",
        "success()",
        "always()",
        "changed('a')",
        "hash_files('b')",
        "x",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "?",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        " in ",
        "+",
        "-",
        "*",
        "/",
        "%",
        "!",
        "1",
        "0",
        "2.5",
        "9223372036854775807",
        "0x1f",
        "'a'",
        "\"b\"",
        "r'\\'",
        "'''",
        "\"",
        "'",
        "\\",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "// c",
        "é",
        "漢",
        "🦀",
        "$",
        "${{",
        "}}",
        "$${{",
        "\0",
        "a",
        ".",
    ];
    prop_oneof![12 => proptest::sample::select(TOKENS).prop_map(str::to_owned), 1 => ".{0,3}"]
}

fn soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(token(), 0..40).prop_map(|tokens| tokens.concat())
}

/// A template as text, rich in dollars and braces.
fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "$",
            "$$",
            "{",
            "{{",
            "}",
            "}}",
            "${{",
            "$${{",
            "${{ branch }}",
            "${{ tag }}",
            "${{'}}'}}",
            "x",
            "é",
            " ",
        ])
        .prop_map(str::to_owned),
        ".{0,2}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Answers are at character boundaries, and evaluating ends.
fn check_expression(text: &str) {
    match Expression::parse(text) {
        Ok(expression) => {
            assert_eq!(expression.source(), text);
            for mistake in expression.check_condition(&Untyped) {
                let _ = &text[mistake.range];
            }
            for reference in expression.references() {
                let _ = &text[reference.range];
            }
            for facts in [
                run(),
                Facts::default(),
                Facts::new(json!({ "branch": "${{ x }}" })),
            ] {
                if let Err(error) = expression.evaluate(&facts) {
                    let _ = &text[error.range];
                }
                let _ = expression.explain(&facts);
            }
            let json = serde_json::to_string(&expression).unwrap();
            assert_eq!(
                serde_json::from_str::<Expression>(&json).unwrap(),
                expression
            );
        }
        Err(mistake) => {
            let _ = &text[mistake.range];
            assert!(!mistake.message.is_empty() && !mistake.message.ends_with('.'));
        }
    }
}

fn check_template(text: &str) {
    match Template::parse(text) {
        Ok(template) => {
            for (expression, place) in template.expressions() {
                assert_eq!(&text[place], expression.source());
            }
            assert_eq!(Template::parse(&template.to_string()).unwrap(), template);
            let json = serde_json::to_string(&template).unwrap();
            assert_eq!(serde_json::from_str::<Template>(&json).unwrap(), template);
            if template.as_literal().is_none() {
                assert!(text.contains("${{"));
            }
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                let _ = &text[mistake.range];
            }
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| {
            pipelines::expression::Float::new(number).map(Value::from)
        }),
        ".{0,4}".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,3}", inner), 0..4)
                .prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_answered(text in "\\PC{0,100}") {
        check_expression(&text);
        check_template(&text);
        check_template(&format!("a ${{{{ {text} }}}} b"));
    }

    #[test]
    fn a_soup_of_tokens_is_answered(text in soup()) {
        check_expression(&text);
        check_template(&text);
        check_template(&format!("a ${{{{ {text} }}}} b ${{{{ {text} }}}}"));
    }

    #[test]
    fn templates_are_shown_as_they_are_written(text in template()) {
        check_template(&text);
    }

    /// Whatever has been put in, and however: bound, it is text, and means the same when a user writes what is shown.
    #[test]
    fn what_is_put_in_stays_text(text in template(), branch in template(), tag in template()) {
        let Ok(template) = Template::parse(&text) else { return Ok(()) };
        let facts = Facts::new(json!({ "branch": branch, "tag": tag }));
        // A list or a map has no text.
        let Ok(whole) = template.text(&facts) else { return Ok(()) };
        for first in [json!({ "branch": branch }), json!({ "tag": tag }), json!({})] {
            let bound = template.bind(&Facts::new(first)).unwrap();
            let json = serde_json::to_string(&bound).unwrap();
            let read: Template = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&read, &bound);
            let bound_again = read.bind(&facts).unwrap();
            prop_assert_eq!(bound_again.as_literal(), Some(whole.as_str()));
            let shown = Template::parse(&bound.to_string()).unwrap();
            prop_assert_eq!(shown.text(&facts).unwrap(), whole.clone());
        }
        let literal = Template::literal(whole.clone());
        prop_assert_eq!(literal.text(&facts).unwrap(), whole.clone());
        let shown = Template::parse(&literal.to_string()).unwrap();
        prop_assert_eq!(shown.as_literal(), Some(whole.as_str()));
    }

    #[test]
    fn values_are_json(value in value()) {
        let json = serde_json::to_string(&value).unwrap();
        let read: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(read, value);
    }

    /// What is known early is never told differently later.
    #[test]
    fn an_early_answer_is_the_late_one(text in soup()) {
        use pipelines::expression::Outcome;
        let Ok(expression) = Expression::parse(&text) else { return Ok(()) };
        let early = Facts::new(json!({ "branch": "main", "matrix": { "rust": "1.90", "jobs": 4, "full": true, "ratio": 0.5, "images": ["a", "b"], "none": null } }));
        if let Ok(Outcome::Known(value)) = expression.evaluate(&early) {
            prop_assert_eq!(expression.evaluate(&run()), Ok(Outcome::Known(value)));
        }
    }
}

#[test]
fn numbers_that_json_has_and_expressions_have_not_are_refused() {
    let error = |json: &str| serde_json::from_str::<Value>(json).unwrap_err().to_string();
    assert!(error("18446744073709551615").contains("a number below 2^63"));
    assert!(error("1e999").contains("out of range"));
}
