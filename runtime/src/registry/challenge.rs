//! `WWW-Authenticate`: how a server wants to be asked (RFC 9110, 11.6.1), read strictly.

/// One way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Lower-case: `bearer`, `basic`.
    pub(super) scheme: String,
    /// Names lower-case, in order.
    pub(super) parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads one header's challenges; `None` when it is not of the grammar.
pub(super) fn parse(header: &str) -> Option<Vec<Challenge>> {
    let mut rest = Cursor(header);
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        rest.skip_blanks();
        if rest.0.is_empty() {
            return (!challenges.is_empty()).then_some(challenges);
        }
        if rest.take(',') {
            continue;
        }
        let word = rest.token()?;
        let blanks = rest.skip_blanks();
        if rest.take('=') {
            // A parameter of the challenge before. Something like `Negotiate YWJj==` has no parameters; see below.
            rest.skip_blanks();
            let value = rest.value()?;
            let last = challenges.last_mut()?;
            if last.parameter(&word.to_ascii_lowercase()).is_some() {
                return None;
            }
            last.parameters.push((word.to_ascii_lowercase(), value));
            rest.skip_blanks();
            if !rest.0.is_empty() && !rest.0.starts_with(',') {
                return None;
            }
            continue;
        }
        if !blanks && !rest.0.is_empty() && !rest.0.starts_with(',') {
            return None;
        }
        challenges.push(Challenge {
            scheme: word.to_ascii_lowercase(),
            parameters: Vec::new(),
        });
        rest.skip_token68();
    }
}

/// What is left to read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) -> bool {
        let trimmed = self.0.trim_start_matches([' ', '\t']);
        let any = trimmed.len() < self.0.len();
        self.0 = trimmed;
        any
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token or a quoted string.
    fn value(&mut self) -> Option<String> {
        if !self.take('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                '\0'..='\x08' | '\n'..='\x1f' | '\x7f' => return None,
                character => value.push(character),
            }
        }
        None
    }

    /// The opaque word after some schemes, `Negotiate YWJj==`: dropped, since no scheme of ours has one.
    fn skip_token68(&mut self) {
        let is_68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let body = self.0.trim_start_matches(is_68);
        let rest = body.trim_start_matches('=');
        let ends =
            |text: &str| text.trim_start_matches([' ', '\t']).is_empty() || text.starts_with(',');
        if rest.len() < self.0.len() && ends(rest) {
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> String {
        match parse(header) {
            None => "refused".to_owned(),
            Some(challenges) => challenges
                .iter()
                .map(|c| {
                    let parameters: Vec<_> = c
                        .parameters
                        .iter()
                        .map(|(k, v)| format!("{k}=<{v}>"))
                        .collect();
                    format!("{}({})", c.scheme, parameters.join(" "))
                })
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// `TestParseValueAndParams` of containers/image's `docker/wwwauthenticate_test.go` (Apache License 2.0).
    #[test]
    fn the_cases_of_containers_image() {
        insta::assert_snapshot!(shown(r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull""#),
            @"bearer(realm=<https://auth.docker.io/token> service=<registry.docker.io> scope=<repository:library/busybox:pull>)");
        insta::assert_snapshot!(shown(r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull,push""#),
            @"bearer(realm=<https://auth.docker.io/token> service=<registry.docker.io> scope=<repository:library/busybox:pull,push>)");
        insta::assert_snapshot!(shown(r#"Bearer realm="http://127.0.0.1:5000/openshift/token""#),
            @"bearer(realm=<http://127.0.0.1:5000/openshift/token>)");
    }

    /// The example of RFC 9110, 11.6.1, and variations of its grammar.
    #[test]
    fn the_example_of_the_rfc() {
        insta::assert_snapshot!(shown(r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#),
            @r#"newauth(realm=<apps> type=<1> title=<Login to "apps">) basic(realm=<simple>)"#);
        insta::assert_snapshot!(shown("Negotiate YWJj==, Basic realm = x"), @"negotiate() basic(realm=<x>)");
        insta::assert_snapshot!(shown("Negotiate"), @"negotiate()");
        insta::assert_snapshot!(shown(",, BASIC realm=\"\" ,"), @"basic(realm=<>)");
    }

    #[test]
    fn anything_else_is_refused() {
        for header in [
            "",
            "realm=x",
            "Bearer realm=\"open",
            "Bearer realm=\"a\" service=\"b\"",
            "Bearer realm=\"a\",realm=\"b\"",
            "Bearer realm=\"a\\",
            "Bearer realm=\"a\u{7}\"",
            "Bea(rer realm=x",
        ] {
            assert_eq!(shown(header), "refused", "{header}");
        }
    }
}
