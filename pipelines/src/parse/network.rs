//! `network`: `default`, `none`, `host`, or `{ allow: [..] }`.

use super::{
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    shared::texts,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    plan::Network,
    syntax::{Text, target_problem},
    yaml::Value,
};

pub(super) const NETWORK: Type<Option<Network<Text>>> = Type {
    words: "[network](#network)",
    shape: Shape::Either(&[
        Shape::Word(&["default", "none", "host"]),
        Shape::Keys(&KEYS),
    ]),
    read: network,
};

static KEYS: Keys<Vec<Text>> = Keys {
    name: "network",
    what: "`network`",
    keys: &[key("allow", &Put(&HOSTS, |allow: &mut Vec<Text>, hosts| *allow = hosts))
        .means("What can be reached, and nothing else: `host`, `host:port`, `*.example.org`, an address or a range of them.")
        .example("allow: [\"deb.debian.org:80\", \"*.crates.io\"]")
        .required()],
    rules: &[],
    others: None,
    frame: "\
image: host
network:
  KEY
steps: [{ run: 'true' }]
",
};

const HOSTS: Type<Vec<Text>> = texts("list of strings", |field, diagnostics| {
    let hosts = field.templates("a list of hosts", diagnostics);
    for host in &hosts {
        let Some(text) = host.template.as_literal() else {
            continue;
        };
        if let Some(problem) = target_problem(text) {
            let message = format!("{} is no host, address or range: {problem}", quoted(text));
            diagnostics.push(Diagnostic::new(Code::BadTarget, host.span, message).help(
                "write `host`, `host:443`, `*.example.org`, `192.0.2.7`, `[2001:db8::1]:443` or `192.0.2.0/24`",
            ));
        }
    }
    hosts
});

fn network(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Network<Text>> {
    if let Value::Mapping(_) = &field.node.value {
        let mut allow = Vec::new();
        KEYS.read(&mut allow, field, diagnostics)?;
        return Some(Network::Allow(allow));
    }
    let text = field.literal(diagnostics)?;
    match &*text.value {
        "default" => Some(Network::Default),
        "none" => Some(Network::None),
        "host" => Some(Network::Host),
        other => {
            let message = format!("{} is no network", quoted(other));
            diagnostics.push(
                Diagnostic::new(Code::BadNetwork, field.span, message)
                    .help("write `default`, `none`, `host`, or `{ allow: [..] }`"),
            );
            None
        }
    }
}
