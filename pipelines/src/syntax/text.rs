//! What texts of the language look like, wherever they come from: a file or a command line.

use crate::limits;

/// What is wrong with the name of an environment variable, as words that follow it; `None` when nothing is.
pub(crate) fn env_name_problem(name: &str) -> Option<&'static str> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match name.as_bytes() {
        [] => Some("is empty"),
        [first, ..] if first.is_ascii_digit() => Some("starts with a digit"),
        bytes if bytes.iter().all(|&b| is_word(b)) => None,
        _ => Some("has characters other than letters, digits and `_`"),
    }
}

/// Whether a text can be an image reference at all; what it refers to is the runtime's business.
pub(crate) fn is_image(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Whether a text can be the id of a job: `[a-z0-9][a-z0-9_-]*`, at most 64 characters.
pub(crate) fn is_job_id(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    starts_well && text.len() <= limits::JOB_ID_CHARS && text.bytes().all(is_job_id_byte)
}

const fn is_job_id_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-'
}

/// The closest id to a text that is none; `None` when nothing is left of it.
pub(crate) fn job_id_for(text: &str) -> Option<String> {
    let mut id = String::new();
    for character in text.chars().take(limits::JOB_ID_CHARS) {
        match character.to_ascii_lowercase() {
            c if u8::try_from(c).is_ok_and(is_job_id_byte) => id.push(c),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    let id = id.trim_matches(['-', '_']);
    is_job_id(id).then(|| id.to_owned())
}

/// Whether a text can be a `user`: `user` or `user:group`, names or numbers.
pub(crate) fn is_user(text: &str) -> bool {
    let is_account = |part: &str| {
        !part.is_empty()
            && !part
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/'))
    };
    let (user, group) = text.split_once(':').unwrap_or((text, "0"));
    is_account(user) && is_account(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_names_are_those_of_posix_shells() {
        for name in ["A", "_", "a_1"] {
            assert_eq!(env_name_problem(name), None, "{name}");
        }
        for name in ["", "1A", "A-B", "A=B", "É", "A\0"] {
            assert!(env_name_problem(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_wrong_job_id_is_turned_into_a_right_one() {
        assert_eq!(job_id_for("Build App!").as_deref(), Some("build-app"));
        assert_eq!(job_id_for("--_x").as_deref(), Some("x"));
        assert_eq!(job_id_for("ß"), None);
        assert!(is_job_id("a-1_b") && !is_job_id("-a") && !is_job_id(&"a".repeat(65)));
    }

    #[test]
    fn users_are_a_user_and_perhaps_a_group() {
        assert!(
            ["root", "0", "1000:1000", "ci:staff"]
                .into_iter()
                .all(is_user)
        );
        assert!(
            !["", ":", "a:", ":b", "a:b:c", "a b", "../x"]
                .into_iter()
                .any(is_user)
        );
    }
}
