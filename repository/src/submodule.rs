//! `.gitmodules`, read by ourselves: git's own parser would follow `include.path` to files of this machine.

use std::collections::HashMap;

/// Largest file that is read, bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// The URLs as they are written, by path from the root of the tree, without a slash at the end. What cannot be understood
/// is left out: the submodule has no URL then, which is told.
pub(crate) fn urls(text: &str) -> HashMap<String, String> {
    let mut urls = HashMap::new();
    let mut current: Option<(Option<String>, Option<String>)> = None;
    let mut keep = |section: Option<(Option<String>, Option<String>)>| {
        if let Some((Some(path), Some(url))) = section {
            urls.entry(path.trim_end_matches('/').to_owned())
                .or_insert(url);
        }
    };
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            keep(current.take());
            let is_submodule = line
                .get(1..10)
                .is_some_and(|word| word.eq_ignore_ascii_case("submodule"));
            current = is_submodule.then_some((None, None));
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        if let Some((path, url)) = &mut current {
            let value = value_of(value);
            match key.trim().to_ascii_lowercase().as_str() {
                "path" => *path = value,
                "url" => *url = value,
                _ => {}
            }
        }
    }
    keep(current);
    urls
}

/// A value: quoted or bare, up to a comment.
fn value_of(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut quoted = false;
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                other @ ('"' | '\\') => value.push(other),
                _ => return None,
            },
            other => value.push(other),
        }
    }
    let value = match quoted {
        true => return None,
        false => value.trim_end().to_owned(),
    };
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::urls;

    #[test]
    fn paths_and_urls_are_found_and_everything_else_is_not_heeded() {
        let text = "[submodule \"lib\"]\n\tpath = lib ; where\n\turl = \"../lib.git\" # from\n\tupdate = !id\n\
            [include]\n\tpath = /etc/passwd\n[Submodule \"b\"]\nurl=x\npath=\"a b/\"\n[submodule \"no\"]\npath = p\n\
            [submodule \"torn\"]\npath = \"t\nurl = u\n";
        let mut found: Vec<_> = urls(text).into_iter().collect();
        found.sort();
        let found: Vec<_> = found
            .iter()
            .map(|(path, url)| (path.as_str(), url.as_str()))
            .collect();
        assert_eq!(found, [("a b", "x"), ("lib", "../lib.git")]);
    }
}
