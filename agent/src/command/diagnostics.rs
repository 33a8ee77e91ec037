//! Diagnostics for programs. Pure.

use pipelines::render::{Located, LocatedRelated};
use pipelines::{Code, Position, Severity};
use serde_json::{Value, json};

/// A list of objects, one a diagnostic; ends with a line break, as all of these do.
pub(super) fn json(diagnostics: &[Located]) -> String {
    pretty(&json!(diagnostics))
}

/// Static Analysis Results Interchange Format 2.1.0 (OASIS).
pub(super) fn sarif(diagnostics: &[Located]) -> String {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "id": code.as_str(),
                "shortDescription": { "text": code.summary() },
                "defaultConfiguration": { "level": level(code.severity()) },
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
    pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "slipway",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn result(diagnostic: &Located) -> Value {
    let rule = Code::ALL.iter().position(|code| *code == diagnostic.code);
    let related: Vec<Value> = diagnostic.related.iter().map(related).collect();
    let mut result = json!({
        "ruleId": diagnostic.code.as_str(),
        "ruleIndex": rule,
        "level": level(diagnostic.severity),
        "message": { "text": message(diagnostic) },
        "locations": [location(&diagnostic.file, diagnostic.start, diagnostic.end)],
    });
    if !related.is_empty() {
        result["relatedLocations"] = Value::Array(related);
    }
    result
}

fn related(related: &LocatedRelated) -> Value {
    let mut location = location(&related.file, related.start, related.end);
    location["message"] = json!({ "text": related.message });
    location
}

fn location(file: &str, start: Position, end: Position) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(file) },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    } })
}

/// A path as a relative reference, or a URL as it is (RFC 3986).
fn uri(file: &str) -> String {
    let mut uri = String::new();
    for byte in file.bytes() {
        match byte {
            b'/' | b':' | b'@' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Workflow commands of GitHub Actions, one a line: they become annotations of the change.
pub(super) fn github(diagnostics: &[Located]) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let Located { start, end, .. } = diagnostic;
            // The end column is that of the last character, and only told within one line.
            let end_column = match end.line == start.line {
                true => format!(",endColumn={}", end.column.max(start.column + 1) - 1),
                false => String::new(),
            };
            format!(
                "::{} file={},line={},endLine={},col={}{end_column},title={}::{}\n",
                level(diagnostic.severity),
                property(&diagnostic.file),
                start.line,
                end.line,
                start.column,
                property(diagnostic.code.as_str()),
                data(&message(diagnostic)),
            )
        })
        .collect()
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn message(diagnostic: &Located) -> String {
    let label = diagnostic.label.as_deref();
    let parts = [
        Some(diagnostic.message.as_str()),
        label,
        diagnostic.help.as_deref(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The same words in both formats.
const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use pipelines::render::{Located, machine};
    use pipelines::{Overrides, Source, compile};
    use serde_json::Value;

    use super::{github, json, sarif};

    fn located(name: &str, text: &str) -> Vec<Located> {
        let source = Source::new(name, text);
        machine(
            &source,
            &compile(&source, &Overrides::default()).diagnostics,
        )
    }

    const WRONG: &str = "image: host\nimage: b\nsteps:\n  - { rum: 100% }\n";

    #[test]
    fn annotations_are_one_line_each_and_escaped() {
        insta::assert_snapshot!(github(&located("a,b:c/%.yml", WRONG)), @"
        ::error file=a%2Cb%3Ac/%25.yml,line=2,endLine=2,col=1,endColumn=5,title=duplicate-key::the key `image` is there twice
        ::error file=a%2Cb%3Ac/%25.yml,line=4,endLine=4,col=7,endColumn=9,title=unknown-key::a step has no key `rum`; did you mean `run`?
        ");
    }

    #[test]
    fn sarif_names_rule_place_and_message() {
        let log: Value = serde_json::from_str(&sarif(&located("a b/é.yml", WRONG))).unwrap();
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        for result in results {
            let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
            assert_eq!(result["level"], "error");
        }
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A9.yml");
        assert_eq!(place["region"]["startLine"], 2);
        assert_eq!(
            results[0]["relatedLocations"][0]["physicalLocation"]["region"]["startLine"],
            1
        );
    }

    #[test]
    fn json_is_a_list() {
        let list: Value = serde_json::from_str(&json(&located("f", WRONG))).unwrap();
        assert_eq!(list[1]["code"], "unknown-key");
        assert_eq!(json(&[]), "[]\n");
        assert_eq!(github(&[]), "");
    }
}
