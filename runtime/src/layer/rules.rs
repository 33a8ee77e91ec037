//! Patterns of paths: `.dockerignore`, `--exclude`, and sources with `*` (moby's `patternmatcher` and Go's `filepath.Match`).
//!
//! `*` and `?` stay within a name, `[a-z]` is one character, `\` takes the next one as it is, and `**` is any number of
//! directories. In a list the last pattern that matches a path, or a directory it is in, decides; `!` takes one back.

use serde::{Deserialize, Serialize};

/// Of a list, patterns.
const MOST: usize = 4096;

/// A list of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    /// A name's pattern each; `**` is one by itself.
    parts: Vec<String>,
    takes_back: bool,
}

impl Rules {
    /// Reads a `.dockerignore`: a pattern a line, `#` begins a comment.
    #[must_use]
    pub fn of_file(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self::of_patterns(lines)
    }

    /// Takes patterns one by one; empty ones say nothing.
    #[must_use]
    pub fn of_patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let rules = patterns.into_iter().filter_map(|line| {
            let line = line.trim();
            let (takes_back, text) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let parts = names(text);
            (!text.is_empty() && !parts.is_empty()).then_some(Rule { parts, takes_back })
        });
        Self {
            rules: rules.take(MOST).collect(),
        }
    }

    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether something below a path that matches may be taken back.
    pub(super) fn takes_back(&self) -> bool {
        self.rules.iter().any(|rule| rule.takes_back)
    }

    /// Whether a path, relative and clean, is among what the list says.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let mut found = false;
        for rule in &self.rules {
            // One that changes nothing need not be looked at.
            if rule.takes_back == found && rule.matches(&names) {
                found = !rule.takes_back;
            }
        }
        found
    }
}

impl Rule {
    /// The path, or a directory on the way to it.
    fn matches(&self, names: &[&[u8]]) -> bool {
        // Which counts of names the parts so far can stand for.
        let mut reached = vec![false; names.len() + 1];
        reached[0] = true;
        for (at, part) in self.parts.iter().enumerate() {
            let mut next = vec![false; names.len() + 1];
            if part == "**" {
                let is_last = at + 1 == self.parts.len();
                let mut any = false;
                for count in 0..=names.len() {
                    // At the end it is something below, not the directory itself.
                    next[count] = any || (!is_last && reached[count]);
                    any |= reached[count];
                }
            } else {
                for (count, name) in names.iter().enumerate() {
                    next[count + 1] = reached[count] && name_matches(part.as_bytes(), name);
                }
            }
            reached = next;
        }
        reached[1..].iter().any(|is| *is)
    }
}

/// The names of a pattern or path, without `.` and with `..` taken out, which leads no further up than to the root.
pub(super) fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name.to_owned()),
        }
    }
    names
}

/// Whether a name has something that [`name_matches`] does not take as it is.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '\\'])
}

/// Whether a pattern matches a whole name.
pub(super) fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    // Behind the last star, and where what it stands for ends.
    let mut star = None;
    loop {
        if here == name.len() && pattern[at..].iter().all(|byte| *byte == b'*') {
            return true;
        }
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, here));
            continue;
        }
        match one(&pattern[at..], &name[here..]) {
            Some((taken, length)) => (at, here) = (at + taken, here + length),
            None => match star {
                Some((behind, end)) if end < name.len() => {
                    star = Some((behind, end + 1));
                    (at, here) = (behind, end + 1);
                }
                _ => return false,
            },
        }
    }
}

/// Matches one character; the bytes of the pattern and of the name that it takes.
fn one(pattern: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let length = character(name)?;
    match pattern.first()? {
        b'?' => Some((1, length)),
        b'[' => {
            let end = class_end(pattern)?;
            let (negated, class) = match pattern[1] {
                b'^' | b'!' => (true, &pattern[2..end]),
                _ => (false, &pattern[1..end]),
            };
            (in_class(class, &name[..length]) != negated).then_some((end + 1, length))
        }
        b'\\' if pattern.len() > 1 => (pattern[1] == name[0]).then_some((2, 1)),
        byte => (*byte == name[0]).then_some((1, 1)),
    }
}

/// Bytes of the first character, as UTF-8 if it is that.
fn character(name: &[u8]) -> Option<usize> {
    let length = match name.first()? {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let is_text = name
        .get(..length)
        .is_some_and(|c| std::str::from_utf8(c).is_ok());
    Some(if is_text { length } else { 1 })
}

/// Where the `]` of a class is, which begins the pattern.
fn class_end(pattern: &[u8]) -> Option<usize> {
    let mut at = 1;
    if matches!(pattern.get(at), Some(b'^' | b'!')) {
        at += 1;
    }
    let begin = at;
    loop {
        match pattern.get(at)? {
            b']' if at > begin => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn in_class(class: &[u8], character: &[u8]) -> bool {
    let text = String::from_utf8_lossy(class);
    let Some(wanted) = String::from_utf8_lossy(character).chars().next() else {
        return false;
    };
    let mut chars = text.chars().peekable();
    let mut next = move || {
        let c = chars.next()?;
        let c = if c == '\\' { chars.next()? } else { c };
        let is_range = chars.peek() == Some(&'-');
        if !is_range {
            return Some((c, c));
        }
        chars.next();
        let end = match chars.next() {
            Some('\\') => chars.next(),
            end => end,
        };
        Some((c, end.unwrap_or(c)))
    };
    while let Some((first, last)) = next() {
        if (first..=last).contains(&wanted) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// moby/patternmatcher's own table (github.com/moby/patternmatcher, `patternmatcher_test.go`, TestMatches, Copyright the
    /// Moby Authors, Apache License 2.0), those of its cases that say a `**` between slashes.
    #[test]
    fn patterns_match_as_mobys_do() {
        for (pattern, path, expected) in [
            ("**", "file", true),
            ("**", "file/", true),
            ("**/", "file", true),
            ("**/", "file/", true),
            ("**", "/", true),
            ("**", "dir/file", true),
            ("**/", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/dir2/file", true),
            ("**file", "file", true),
            ("**/file", "dir/file", true),
            ("**/file", "dir/dir/file", true),
            ("**/file*", "dir/dir/file", true),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt**", "a/file.txt", true),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abc.def", true),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("abc?def", "abcdef", false),
            ("a\\\\", "a\\", true),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/foo/bar", true),
            ("abc/**", "abc", false),
            ("abc/**", "abc/def", true),
            ("**/.foo", ".foo", true),
            ("**/.foo", "bar.foo", false),
            ("./bar.*", "bar.foo", true),
            ("a(b)c/def", "a(b)c/def", true),
            ("a(b)c/def", "a(b)c/xyz", false),
            ("*.txt", "ß.txt", true),
            ("?.txt", "ß.txt", true),
            ("dir", "dir/file", true),
        ] {
            let rules = Rules::of_patterns([pattern]);
            let path = path.trim_matches('/');
            assert_eq!(rules.has(path.as_bytes()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let rules = Rules::of_file("# all\n*\n!src\n src/*.o \n!src/keep.o\n\n");
        let has = |path: &str| rules.has(path.as_bytes());
        assert!(has("a") && has("src/x.o"));
        assert!(!has("src") && !has("src/x.c") && !has("src/keep.o"));
        // A way up leads nowhere.
        assert!(Rules::of_patterns(["../../a"]).has(b"a"));
    }

    #[test]
    fn stars_cost_no_more_than_the_name_is_long() {
        let pattern = "*a".repeat(1000);
        let name = "a".repeat(4000) + "b";
        assert!(!name_matches(pattern.as_bytes(), name.as_bytes()));
    }
}
