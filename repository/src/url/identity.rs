//! Which repository a URL is of, however it is written.

use super::{Scheme, Url};

impl Url {
    /// The URL by which this repository is known: as it is shown, and of one that a host has without the `.git` at its end, which
    /// hosts take and leave. In directories `x` and `x.git` are two.
    #[must_use]
    pub fn identity(&self) -> String {
        let shown = self.to_string();
        match self.scheme {
            Scheme::File => shown,
            Scheme::Https | Scheme::Http | Scheme::Ssh => identity(&shown).to_owned(),
        }
    }
}

/// The same of a URL that was shown. What is known by it is known by it again: at the end of `x.git.git`, which would not be, and
/// where nothing else is in the last part of the path, `.git` stays.
#[must_use]
pub fn identity(url: &str) -> &str {
    match url.strip_suffix(".git") {
        Some(without) if !url.starts_with("file:") => match without {
            "" => url,
            _ if without.ends_with('/') || without.ends_with(".git") => url,
            _ => without,
        },
        _ => url,
    }
}

#[cfg(test)]
mod tests {
    use super::identity;
    use crate::url::{Allowed, Url};

    #[test]
    fn git_at_the_end_makes_no_other_repository_at_a_host_and_one_in_a_directory() {
        let everything = Allowed {
            files: true,
            plain_http: true,
            this_machine: true,
        };
        let of = |text: &str| {
            let once = Url::parse(text, everything).unwrap().identity();
            assert_eq!(identity(&once), once, "{text}");
            once
        };
        for (text, known) in [
            ("https://h/a/b", "https://h/a/b"),
            ("https://h/a/b.git", "https://h/a/b"),
            ("https://H/a/b.git//", "https://h/a/b"),
            ("https://user:pw@h/a/b.git", "https://h/a/b"),
            ("http://h:3000/b.git", "http://h:3000/b"),
            ("git@h:a/b.git", "ssh://git@h/a/b"),
            ("ssh://git@h:22/a/b.git/", "ssh://git@h:22/a/b"),
            // These are no other writings of one.
            ("https://h/a/b.git.git", "https://h/a/b.git.git"),
            ("https://h/a/b.GIT", "https://h/a/b.GIT"),
            ("https://h/a/bgit", "https://h/a/bgit"),
            ("https://h/a/.git", "https://h/a/.git"),
            ("https://h/a/b/.git", "https://h/a/b/.git"),
            ("https://h/a/b.git/c", "https://h/a/b.git/c"),
            ("git@h:.git", "ssh://git@h/.git"),
            ("/srv/b.git", "file:///srv/b.git"),
            ("file:///srv/b.git/", "file:///srv/b.git"),
        ] {
            assert_eq!(of(text), known, "{text}");
        }
        assert_eq!((identity(""), identity(".git")), ("", ".git"));
    }
}
