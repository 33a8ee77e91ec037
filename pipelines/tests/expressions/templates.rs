//! Texts with expressions in them.

use insta::assert_snapshot;
use pipelines::expression::{Template, Values};
use serde_json::json;

use crate::facts::{Facts, marked, run, shapes, table};

fn text(template: &str, values: &dyn Values) -> String {
    let parsed = match Template::parse(template) {
        Ok(parsed) => parsed,
        Err(mistakes) => {
            let mistakes = mistakes.iter().map(|mistake| marked(template, mistake));
            return mistakes.collect::<Vec<_>>().join("\n");
        }
    };
    match parsed.text(values) {
        Ok(text) => text,
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn expressions_are_replaced_by_their_texts() {
    assert_snapshot!(table(r#"
        cargo-${{ matrix.rust }}-${{matrix.jobs}}
        ${{ matrix.full }}${{ matrix.ratio }}[${{ matrix.none }}]
        no expression, { braces }, $ and $${ and {{ }}
        written out: $${{ matrix.rust }}
        a dollar kept: $$${{ matrix.rust }}
        $${{ and ${{ branch }}
        ${{ "}}" }}${{ '}' + "}}" }}${{ """}}""" }}
        ${{ {"a": {"b": branch}}["a"].b }}
        ${{ {"a":{"b":branch}}.a.b}}
        ${{branch}}}}
        ${{ "${{ env.LANG }}" }}
        ${{ r"\" + '\'}}' }}
    "#, |line| text(line, &run())), @r#"
    cargo-${{ matrix.rust }}-${{matrix.jobs}}
        cargo-1.90-4
    ${{ matrix.full }}${{ matrix.ratio }}[${{ matrix.none }}]
        true0.5[]
    no expression, { braces }, $ and $${ and {{ }}
        no expression, { braces }, $ and $${ and {{ }}
    written out: $${{ matrix.rust }}
        written out: ${{ matrix.rust }}
    a dollar kept: $$${{ matrix.rust }}
        a dollar kept: $${{ matrix.rust }}
    $${{ and ${{ branch }}
        ${{ and main
    ${{ "}}" }}${{ '}' + "}}" }}${{ """}}""" }}
        }}}}}}}
    ${{ {"a": {"b": branch}}["a"].b }}
        main
    ${{ {"a":{"b":branch}}.a.b}}
        main
    ${{branch}}}}
        main}}
    ${{ "${{ env.LANG }}" }}
        ${{ env.LANG }}
    ${{ r"\" + '\'}}' }}
        \'}}
    "#);
    assert_eq!(text("${{ branch // }} is a comment\n}}", &run()), "main");
    assert_eq!(text("a\n${{\n  branch\n}}\nb", &run()), "a\nmain\nb");
}

#[test]
fn mistakes_are_marked_in_the_whole_text() {
    assert_snapshot!(table(r#"
        a ${{ brnch }} b ${{ tga }}
        a ${{ branch
        a ${{ "branch }} b ${{ evnt }}
        ${{ }}
        x${{}}y
        é ${{ é }} ${{ 1 + }}
        ${{ branch } }
        ${{ {"a": 1 }}
        ${{ ${{ branch }} }}
    "#, |line| text(line, &run())), @r#"
    a ${{ brnch }} b ${{ tga }}
        mistake at "brnch": no variable is called `brnch` (did you mean `branch`?)
        mistake at "tga": no variable is called `tga` (did you mean `tag`?)
    a ${{ branch
        mistake at "${{": an expression that is not closed (close it with `}}`; for the text itself write `$${{`)
    a ${{ "branch }} b ${{ evnt }}
        mistake at "\"branch": a string without an end (close it with the same quotes)
        mistake at "evnt": no variable is called `evnt` (did you mean `event`?)
    ${{ }}
        mistake at "${{ }}": an empty expression (for the text itself write `$${{`)
    x${{}}y
        mistake at "${{}}": an empty expression (for the text itself write `$${{`)
    é ${{ é }} ${{ 1 + }}
        mistake at "é": unexpected 'é'
        mistake at "": expected a value, but the expression ends here
    ${{ branch } }
        mistake at "${{": an expression that is not closed (close it with `}}`; for the text itself write `$${{`)
    ${{ {"a": 1 }}
        mistake at "${{": an expression that is not closed (close it with `}}`; for the text itself write `$${{`)
    ${{ ${{ branch }} }}
        mistake at "$": unexpected '$' (inside an expression a variable has no `$`: `branch`, `env.NAME`)
    "#);
    let many = "${{ }}".repeat(1_000);
    assert_eq!(Template::parse(&many).unwrap_err().len(), 20);
}

#[test]
fn values_without_a_text_are_errors() {
    assert_snapshot!(table(r"
        ${{ matrix.images }}
        ${{ matrix.images.join(' ') }}
        ${{ matrix.os }}
    ", |line| text(line, &run())), @"
    ${{ matrix.images }}
        error: `matrix.images`: it is a list, and a text has no place for it
    ${{ matrix.images.join(' ') }}
        a b
    ${{ matrix.os }}
        error: `matrix.os`: the matrix has no axis `os`
    ");
    let early = Facts::new(json!({ "event": "push" }));
    assert_snapshot!(text("${{ event }} ${{ event + steps.a.outputs.b }}", &early), @"error: `event + steps.a.outputs.b`: `steps.a.outputs.b` is not known here");
    assert_snapshot!(text("${{ success() }}", &early), @"error: `success()`: something in it is not known here");
}

#[test]
fn types_are_checked_with_places_in_the_whole_text() {
    let check = |line: &str| {
        let mistakes = Template::parse(line).unwrap().check(&shapes());
        let mistakes = mistakes.iter().map(|mistake| marked(line, mistake));
        mistakes.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(table(r#"
        é ${{ matrix.rsut }} and ${{ steps.build.outputs.x }} and ${{ steps.buidl.conclusion }}
        ${{ matrix }}
        ${{ branch.split("/") }}
    "#, check), @r#"
    é ${{ matrix.rsut }} and ${{ steps.build.outputs.x }} and ${{ steps.buidl.conclusion }}
        mistake at "rsut": the matrix has no axis `rsut` (did you mean `rust`?)
        mistake at "buidl": no step before this is called `buidl` (did you mean `build`?)
    ${{ matrix }}
        mistake at "matrix": `matrix` is a map, which has no text (name one of its keys)
    ${{ branch.split("/") }}
        mistake at "branch.split(\"/\")": `branch.split("/")` is a list, which has no text (`.join(", ")` makes a string of a list of them)
    "#);
}

#[test]
fn binding_replaces_what_is_known_and_keeps_the_rest() {
    let early = Facts::new(json!({ "event": "push", "tag": "", "matrix": { "rust": "1.90" } }));
    let template =
        Template::parse("a-${{ matrix.rust }}-${{ tag }}${{ event }}-${{ branch }}").unwrap();
    let bound = template.bind(&early).unwrap();
    assert_eq!(bound.to_string(), "a-1.90-push-${{ branch }}");
    assert_eq!(bound.as_literal(), None);
    let late = Facts::new(json!({ "branch": "main" }));
    let bound = bound.bind(&late).unwrap();
    assert_eq!(bound.as_literal(), Some("a-1.90-push-main"));
    assert_eq!(Template::parse("").unwrap().as_literal(), Some(""));
    assert_eq!(
        Template::parse("${{ tag }}")
            .unwrap()
            .bind(&early)
            .unwrap()
            .as_literal(),
        Some("")
    );
}

/// A branch's name is chosen by whoever pushes it.
#[test]
fn a_value_that_looks_like_an_expression_is_never_read() {
    let hostile =
        Facts::new(json!({ "branch": "x${{ env.TOKEN }}", "env": { "TOKEN": "secret" } }));
    let template = Template::parse("${{ branch }} ${{ tag }}").unwrap();
    let bound = template.bind(&hostile).unwrap();
    assert_eq!(bound.expressions().count(), 1);

    let json = serde_json::to_string(&bound).unwrap();
    assert_eq!(json, r#"["x${{ env.TOKEN }} ",{"expression":"tag"}]"#);
    let read: Template = serde_json::from_str(&json).unwrap();
    assert_eq!(read, bound);

    let tagged = Facts::new(json!({ "tag": "${{ env.TOKEN }}", "env": { "TOKEN": "secret" } }));
    let bound = read.bind(&tagged).unwrap();
    assert_eq!(
        bound.as_literal(),
        Some("x${{ env.TOKEN }} ${{ env.TOKEN }}")
    );
    let json = serde_json::to_string(&bound).unwrap();
    let read: Template = serde_json::from_str(&json).unwrap();
    assert_eq!(
        read.text(&tagged).unwrap(),
        "x${{ env.TOKEN }} ${{ env.TOKEN }}"
    );
    // What a user would have to write, so that it means the same.
    assert_eq!(bound.to_string(), "x$${{ env.TOKEN }} $${{ env.TOKEN }}");

    // A dollar and an expression that come to stand side by side do not become an escape, nor two halves an opening.
    let dollar = Facts::new(json!({ "branch": "$" }));
    let bound = template.bind(&dollar).unwrap();
    assert_eq!(bound.to_string(), "$ ${{ tag }}");
    let template = Template::parse("${{ branch }}${{ tag }}").unwrap();
    let bound = template.bind(&dollar).unwrap();
    assert_eq!(bound.to_string(), r#"${{ "$" }}${{ tag }}"#);
    let template = Template::parse("${{ branch }}{{ tag }}").unwrap();
    let bound = template.bind(&dollar).unwrap();
    assert_eq!(bound.as_literal(), Some("${{ tag }}"));
    assert_eq!(bound.to_string(), "$${{ tag }}");
}

#[test]
fn a_template_on_the_wire_says_what_is_an_expression() {
    let json = |template: &Template| serde_json::to_string(template).unwrap();
    assert_eq!(json(&Template::literal("${{ x }}")), r#""${{ x }}""#);
    assert_eq!(
        json(&Template::parse("${{ branch }}").unwrap()),
        r#"[{"expression":"branch"}]"#
    );
    let error = |json: &str| {
        serde_json::from_str::<Template>(json)
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(error(r#"[{"expression":"brnch"}]"#), @r#"in the expression "brnch": no variable is called `brnch` at line 1 column 23"#);
    assert_snapshot!(error(r#"[{"expression":"branch","x":1}]"#), @"unknown field `x`, expected `expression` at line 1 column 27");
    assert_snapshot!(error("[1]"), @r#"invalid type: integer `1`, expected a string or {"expression": ".."} at line 1 column 2"#);
    assert_snapshot!(error("{}"), @"invalid type: map, expected a string, or a list of strings and expressions at line 1 column 2");
    let read: Template = serde_json::from_str(r#"["a","b",""]"#).unwrap();
    assert_eq!(read, Template::literal("ab"));
}

#[test]
fn a_template_names_its_expressions_and_what_they_read() {
    let source = "é ${{ matrix.rust }} ${{branch}}";
    let template = Template::parse(source).unwrap();
    let places: Vec<_> = template
        .expressions()
        .map(|(_, place)| &source[place])
        .collect();
    assert_eq!(places, ["matrix.rust", "branch"]);
    let references: Vec<_> = template
        .references()
        .map(|read| &source[read.range])
        .collect();
    assert_eq!(references, ["matrix.rust", "branch"]);
}
