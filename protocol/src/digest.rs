//! How archives are told apart.

/// Whether a text is a SHA-256 as `sha256sum` prints it: 64 lower-case hexadecimal digits. It may be a part of a path then.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::is_sha256;

    #[test]
    fn what_becomes_a_files_name_is_a_digest() {
        assert!(is_sha256(&"0a".repeat(32)));
        for text in [
            "",
            "/etc/passwd",
            "../../x",
            &"0A".repeat(32),
            &"0a".repeat(33),
        ] {
            assert!(!is_sha256(text), "{text}");
        }
    }
}
