//! Instructions that only say something.

use std::time::Duration;

use serde_json::{Value, json};

use super::BuildFailure;
use super::stage::Stage;
use crate::dockerfile::{CommandLine, Health, Instruction, Kind, Pair};

impl Stage<'_> {
    /// Carries one out.
    pub(super) fn say(&mut self, instruction: &Instruction) -> Result<(), BuildFailure> {
        let place = instruction.words_place;
        match &instruction.kind {
            Kind::Arg(args) => {
                for arg in args {
                    let default = arg.default.as_deref();
                    let default = default.map(|text| self.expand(text, place)).transpose()?;
                    self.args.declare(arg, default, self.globals);
                }
            }
            Kind::Env(pairs) => {
                for (name, value) in self.pairs(pairs, place)? {
                    if name.contains('=') {
                        let message = format!("`{name}` cannot be a variable's name");
                        return Err(BuildFailure::mistake(place, message));
                    }
                    self.draft.set_env(&name, &value);
                }
            }
            Kind::Label(pairs) => {
                for (name, value) in self.pairs(pairs, place)? {
                    self.draft.add("Labels", &name, value.into());
                }
            }
            Kind::Cmd(command) => {
                let words = self.words(command);
                self.draft.set("Cmd", words);
                self.draft.has_own_command = true;
            }
            Kind::Entrypoint(command) => {
                let words = self.words(command);
                self.draft.set("Entrypoint", words);
                if !self.draft.has_own_command {
                    // It was meant for the entrypoint below.
                    self.draft.fields.remove("Cmd");
                }
            }
            Kind::Expose(words) => {
                for word in words {
                    for text in self.expand_words(word, place)? {
                        for port in ports(&text).ok_or_else(|| {
                            BuildFailure::mistake(place, format!("`{text}` is no port"))
                        })? {
                            self.draft.add("ExposedPorts", &port, json!({}));
                        }
                    }
                }
            }
            Kind::Volume(paths) => {
                for path in paths {
                    let path = self.expand(path, place)?;
                    self.draft.add("Volumes", &path, json!({}));
                }
            }
            Kind::User(user) => {
                let user = self.expand(user, place)?;
                self.draft.user = (!user.is_empty()).then_some(user);
            }
            Kind::StopSignal(signal) => {
                let signal = self.expand(signal, place)?;
                self.draft.set("StopSignal", signal);
            }
            Kind::Shell(words) => self.draft.shell.clone_from(words),
            Kind::Healthcheck(health) => {
                let health = health_of(health);
                self.draft.set("Healthcheck", health);
            }
            Kind::Maintainer(name) => self.draft.set_author(name),
            Kind::OnBuild(text) => self.draft.triggers.push(text.clone()),
            Kind::Add(_) | Kind::Copy(_) | Kind::Run(_) | Kind::Workdir(_) => {}
        }
        Ok(())
    }

    fn pairs(
        &self,
        pairs: &[Pair],
        place: crate::dockerfile::Place,
    ) -> Result<Vec<(String, String)>, BuildFailure> {
        // All of one line see what was before it.
        let expanded = pairs.iter().map(|pair| {
            let name = self.expand(&pair.name, place)?;
            Ok((name, self.expand(&pair.value, place)?))
        });
        expanded.collect()
    }

    /// A command line as it is executed.
    pub(super) fn words(&self, command: &CommandLine) -> Vec<String> {
        if !command.is_shell || command.args.is_empty() {
            return command.args.clone();
        }
        let shell = self.draft.shell.iter();
        shell.chain(&command.args).cloned().collect()
    }
}

/// `80`, `80/udp`, `8000-8010`, as the configuration has them.
fn ports(text: &str) -> Option<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&&*protocol) {
        return None;
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    if first == 0 || last < first {
        return None;
    }
    Some(
        (first..=last)
            .map(|port| format!("{port}/{protocol}"))
            .collect(),
    )
}

fn health_of(health: &Health) -> Value {
    let Some(command) = &health.command else {
        return json!({ "Test": ["NONE"] });
    };
    let kind = if command.is_shell { "CMD-SHELL" } else { "CMD" };
    let mut test = vec![kind.to_owned()];
    test.extend(command.args.iter().cloned());
    let mut value = json!({ "Test": test });
    let times = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    for (name, time) in times {
        if let Some(time) = time.filter(|time| *time != Duration::ZERO) {
            value[name] = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).into();
        }
    }
    if let Some(retries) = health.retries.filter(|retries| *retries > 0) {
        value["Retries"] = retries.into();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_and_ranges() {
        assert_eq!(ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(ports("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(ports("1-3").unwrap(), ["1/tcp", "2/tcp", "3/tcp"]);
        for text in ["", "x", "0", "3-1", "80/x", "70000", "1-2-3"] {
            assert_eq!(ports(text), None, "{text}");
        }
    }
}
