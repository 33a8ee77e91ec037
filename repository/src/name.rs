//! Which names of a tree are never written down.
//!
//! The rules are those of git's `verify_path` and `fsck`: on a file system that folds case or ignores characters, `.GIT`,
//! `git~1` and `.g\u{200c}it` are `.git`, and who writes to that executes hooks. Linux has such file systems too (ext4 with
//! `casefold`, a mounted exFAT), and a tree is packed and carried on.

/// Longest name, bytes: that of Linux.
const LONGEST: usize = 255;

/// Why a name of a tree is refused; `None` for an honest one.
pub(crate) fn objection(name: &[u8]) -> Option<&'static str> {
    match name {
        b"" => return Some("an empty name"),
        b"." | b".." => return Some("a name that leads somewhere else"),
        _ => {}
    }
    if name.contains(&b'/') || name.contains(&0) {
        return Some("a name with a slash or a zero byte in it");
    }
    if name.len() > LONGEST {
        return Some("a name of more than 255 bytes");
    }
    if is_git(name) {
        return Some("a name that some file systems take for `.git`");
    }
    None
}

/// Whether some file system takes the name for `.git`.
fn is_git(name: &[u8]) -> bool {
    is_git_on_ntfs(name) || is_git_on_hfs(name)
}

/// NTFS: no matter the case, trailing dots and spaces, a stream behind a colon, the short name, and `\` separates.
fn is_git_on_ntfs(name: &[u8]) -> bool {
    let end = name
        .iter()
        .position(|byte| matches!(byte, b'\\' | b':'))
        .unwrap_or(name.len());
    let mut name = &name[..end];
    while let [front @ .., b'.' | b' '] = name {
        name = front;
    }
    name.eq_ignore_ascii_case(b".git") || name.eq_ignore_ascii_case(b"git~1")
}

/// HFS+: some characters of no width are not there, and case does not count.
fn is_git_on_hfs(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    let is_ignored = |character: &char| {
        matches!(
            character,
            '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        )
    };
    let seen: String = name
        .chars()
        .filter(|character| !is_ignored(character))
        .collect();
    seen.eq_ignore_ascii_case(".git")
}

/// Whether some file system takes the name for `.gitmodules`, which is read and so must be a file.
pub(crate) fn is_gitmodules(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else {
        return false;
    };
    let text = text.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    text == ".gitmodules" || (text.starts_with("gitmod~") && text.len() == 8)
}

#[cfg(test)]
mod tests {
    use super::{is_gitmodules, objection};

    #[test]
    fn git_in_every_disguise_is_refused_and_honest_names_are_not() {
        for name in [
            ".git",
            ".GIT",
            ".GiT",
            ".git.",
            ".git ",
            ".git . .",
            "git~1",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            ".git\\hooks",
            ".g\u{200c}it",
            "\u{feff}.Git",
            "",
            ".",
            "..",
            "a/b",
            "a\0b",
        ] {
            assert!(objection(name.as_bytes()).is_some(), "{name:?}");
        }
        assert!(objection(&[b'x'; 256]).is_some());
        for name in [
            ".gitignore",
            ".github",
            "git",
            "git~2x",
            "...",
            " ",
            "a\\b",
            "größe",
            ".git2",
            "-rf",
            "\n",
        ] {
            assert_eq!(objection(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(objection(b"\xff\xfe"), None);
        assert!(
            is_gitmodules(b".gitmodules")
                && is_gitmodules(b"GITMOD~1")
                && !is_gitmodules(b".gitmodule")
        );
    }
}
