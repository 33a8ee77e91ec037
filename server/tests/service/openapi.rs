//! Whatever is asked, by whomever: what the description says, or a refusal that says why. Never that something broke.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::service::{Problem, Role, TokenKind, path};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{ONE, Server, User};

/// Requests to each operation with each token.
const CASES: usize = 40;

/// A sequence that is the same for each seed (SplitMix64, Steele et al. 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Requests as the description has them, more or less.
struct Requests<'a> {
    description: &'a Value,
    chance: Chance,
}

impl Requests<'_> {
    fn text(&mut self) -> String {
        match self.chance.below(12) {
            0 => String::new(),
            1 => "\0".to_owned(),
            2 => "x".repeat(self.chance.below(100_000)),
            3 => "\u{202e}é\u{1f600}\r\n\t\"'\\".to_owned(),
            4 => "../../etc/passwd".to_owned(),
            5 => "step-0".to_owned(),
            6 => "0a".repeat(32),
            7 => "' OR 1=1; --".to_owned(),
            8 => "https://h.example/o/n".to_owned(),
            9 => ONE.to_owned(),
            _ => format!("n{}", self.chance.below(5)),
        }
    }

    fn number(&mut self) -> Value {
        match self.chance.below(10) {
            0 => json!(0),
            1 => json!(-1),
            2 => json!(u64::MAX),
            3 => json!(i64::MAX),
            4 => json!(u32::MAX),
            5 => json!(1e300),
            6 => json!(0.5),
            _ => json!(self.chance.below(6)),
        }
    }

    fn anything(&mut self) -> Value {
        match self.chance.below(8) {
            0 => Value::Null,
            1 => json!(self.chance.one_in(2)),
            2 => self.number(),
            3 => json!([]),
            4 => json!({ "surplus": 1 }),
            5 => (0..self.chance.below(200)).fold(json!(1), |inner, _| json!([inner])),
            _ => json!(self.text()),
        }
    }

    /// A value of a schema, with something else in it now and then.
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > 8 || self.chance.one_in(20) {
            return self.anything();
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.trim_start_matches('#');
            let description = self.description;
            return self.value(description.pointer(pointer).unwrap(), depth + 1);
        }
        for several in ["oneOf", "anyOf"] {
            if let Some(all) = schema[several].as_array() {
                let one = self.chance.of(all).clone();
                return self.value(&one, depth + 1);
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let mut whole = Map::new();
            for part in parts {
                if let Value::Object(part) = self.value(part, depth + 1) {
                    whole.extend(part);
                }
            }
            return Value::Object(whole);
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.chance.of(words).clone();
        }
        if let Some(word) = schema.get("const") {
            return word.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.chance.of(kinds).clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let count = self.chance.below(4);
                let items = (0..count).map(|_| self.value(&schema["items"], depth + 1));
                Value::Array(items.collect())
            }
            Some("integer" | "number") => self.number(),
            Some("boolean") => json!(self.chance.one_in(2)),
            Some("null") => Value::Null,
            Some("string") => json!(self.text()),
            _ => self.anything(),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required = schema["required"].as_array();
        let mut object = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.is_some_and(|names| names.iter().any(|it| it == name));
            if self.chance.one_in(if is_required { 40 } else { 2 }) {
                continue;
            }
            object.insert(name.clone(), self.value(schema, depth + 1));
        }
        if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
            for _ in 0..self.chance.below(3) {
                object.insert(self.text(), self.value(others, depth + 1));
            }
        }
        Value::Object(object)
    }

    /// What stands for a parameter in a path: who asks and what they hold stays.
    fn named(&mut self, name: &str, method: &Method) -> String {
        if self.chance.one_in(8) {
            return self.text();
        }
        let keeps = *method == Method::DELETE && matches!(name, "agent" | "token");
        match name {
            "name" => {
                (*self
                    .chance
                    .of(&["step-0", "step-0-times", "cache-0", "artifact-0", "app"]))
                .to_owned()
            }
            "secret" => "TOKEN".to_owned(),
            _ if keeps => (100 + self.chance.below(5)).to_string(),
            _ => match self.number() {
                Value::Number(number) if self.chance.one_in(4) => number.to_string(),
                _ => (1 + self.chance.below(3)).to_string(),
            },
        }
    }
}

/// As a part of an address, which has an end.
fn encoded(text: &str) -> String {
    let bytes = text.bytes().take(1_000);
    bytes.map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn whatever_is_asked_is_answered_or_refused() {
    let seed = std::env::var("SLIPWAY_TEST_SEED").ok();
    let seed = seed.map_or(1, |seed| seed.parse().unwrap());
    let server = Server::start_with(|config| {
        config.terms.wait = Duration::from_millis(300);
        config.terms.lease = Duration::from_secs(600);
    })
    .await;
    let agent = server.agent(&[]).await;
    for _ in 0..3 {
        server.submit(ONE).await;
    }
    let _ = agent.take().await;
    let registration = server.token(TokenKind::Registration, None).await;
    let askers = [
        server.admin.clone(),
        server.user(Role::Writer).await,
        agent.user.clone(),
        User::new(&server.admin.base, &registration),
    ];
    let description: Value = server.admin.get(path::OPENAPI).await;
    let mut requests = Requests {
        description: &description,
        chance: Chance(seed),
    };
    let mut answered = BTreeMap::<String, usize>::new();
    for (template, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut let_in = 0;
            for case in 0..CASES * askers.len() {
                let asker = &askers[case % askers.len()];
                let mut address = template.clone();
                let mut query = Vec::new();
                let mut headers = Vec::new();
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    match parameter["in"].as_str() {
                        Some("path") => {
                            let value = encoded(&requests.named(name, &method));
                            address = address.replace(&format!("{{{name}}}"), &value);
                        }
                        Some("query") => {
                            let value = requests.value(&parameter["schema"], 0);
                            let value = value
                                .as_str()
                                .map_or_else(|| value.to_string(), str::to_owned);
                            query.push(format!("{name}={}", encoded(&value)));
                        }
                        _ => headers.push((name.to_owned(), requests.number().to_string())),
                    }
                }
                if !query.is_empty() {
                    address = format!("{address}?{}", query.join("&"));
                }
                let mut request = asker.request(method.clone(), &address);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let content = operation["requestBody"]["content"].as_object();
                let body = content.and_then(|content| content.iter().next());
                let body = body.map(|(kind, content)| {
                    (kind, requests.value(&content["schema"], 0).to_string())
                });
                if let Some((kind, body)) = &body {
                    request = request.header("content-type", *kind).body(body.clone());
                }
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                let what = || format!("seed {seed}: {method} {address} {body:?}");
                assert!(status < 500, "{}: {status}", what());
                if !matches!(status, 401 | 403 | 429) {
                    let_in += 1;
                }
                match status {
                    200..300 => {
                        let said = &operation["responses"][status.to_string()];
                        assert!(said.is_object(), "{}: {status} is not described", what());
                    }
                    _ => {
                        let text = answer.text().await.unwrap();
                        let problem = serde_json::from_str::<Problem>(&text);
                        assert!(problem.is_ok(), "{}: {status} {text}", what());
                    }
                }
                *answered.entry(format!("{}xx", status / 100)).or_default() += 1;
            }
            assert!(let_in > 0, "nobody got as far as {method} {template}");
        }
    }
    // It asks what can be answered, not only what cannot.
    let good = answered.get("2xx").copied().unwrap_or_default();
    assert!(good > CASES * 10, "{answered:?}");
    // And is still there.
    server.submit(ONE).await;
}
