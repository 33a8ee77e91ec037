//! The ways in which programs print a value.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::SHORTEST;

/// Columns after which `base64` (coreutils) and OpenSSL (64) break a line.
const BASE64_LINES: [usize; 2] = [76, 64];

/// What stands for a value in output: itself, its lines, and both encoded. No form is shorter than [`SHORTEST`].
pub(super) fn of(value: &[u8]) -> Vec<Vec<u8>> {
    let trimmed = value.trim_ascii();
    let mut forms = vec![value.to_vec(), trimmed.to_vec()];
    for line in value.split(|byte| *byte == b'\n') {
        forms.push(line.trim_ascii().to_vec());
    }
    for whole in [value, trimmed] {
        base64(whole, &mut forms);
        forms.push(percent(whole, false, b"%20"));
        forms.push(percent(whole, true, b"%20"));
        forms.push(percent(whole, false, b"+"));
        forms.push(percent(whole, true, b"+"));
        if let Ok(text) = std::str::from_utf8(whole) {
            forms.push(json(text));
            forms.push(text.replace('\'', r"'\''").into_bytes());
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// The value alone, with a line break behind it, in lines, and at any place of a longer text that is encoded whole.
fn base64(value: &[u8], forms: &mut Vec<Vec<u8>>) {
    let with_break = [value, b"\n"].concat();
    for whole in [value, &with_break] {
        for encoded in [STANDARD.encode(whole), URL_SAFE.encode(whole)] {
            for width in BASE64_LINES {
                let lines = encoded.as_bytes().chunks(width);
                forms.extend(lines.map(<[u8]>::to_vec));
            }
            forms.push(encoded.trim_end_matches('=').as_bytes().to_vec());
            forms.push(encoded.into_bytes());
        }
    }
    for before in 0..3 {
        let shifted = [&[0; 2][..before], value].concat();
        // Characters that hold bits of what is around the value are not the same everywhere.
        let first = (before * 8).div_ceil(6);
        let behind = shifted.len() * 8 / 6;
        for encoded in [STANDARD.encode(&shifted), URL_SAFE.encode(&shifted)] {
            forms.extend(encoded.as_bytes().get(first..behind).map(<[u8]>::to_vec));
        }
    }
}

/// RFC 3986, 2.1, with lower-case or upper-case digits, and with what a space becomes in a query or in a form.
fn percent(value: &[u8], upper: bool, space: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(value.len() * 3);
    for &byte in value {
        match byte {
            b' ' => encoded.extend(space),
            b'-' | b'.' | b'_' | b'~' => encoded.push(byte),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte),
            _ if upper => encoded.extend(format!("%{byte:02X}").into_bytes()),
            _ => encoded.extend(format!("%{byte:02x}").into_bytes()),
        }
    }
    encoded
}

/// As it stands in a JSON string.
fn json(text: &str) -> Vec<u8> {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.as_bytes()[1..quoted.len() - 1].to_vec()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::of;

    fn has(value: &str, form: &str) -> bool {
        of(value.as_bytes())
            .iter()
            .any(|known| known == form.as_bytes())
    }

    #[test]
    fn encodings_of_everyday_tools_are_known() {
        let value = "p@ss \"wörd\"\nline two";
        for form in [
            value,
            "line two",
            "p%40ss%20%22w%C3%B6rd%22%0Aline%20two",
            "p%40ss+%22w%c3%b6rd%22%0aline+two",
            r#"p@ss \"wörd\"\nline two"#,
        ] {
            assert!(has(value, form), "{form}");
        }
        assert!(has("it's", r"it'\''s"));
        assert!(has(value, &STANDARD.encode(value)));
        assert!(has("secret", &STANDARD.encode("secret\n")));
        assert!(has("se??>>ret", &URL_SAFE_NO_PAD.encode("se??>>ret")));
    }

    #[test]
    fn short_lines_are_no_forms() {
        assert!(of(b"abcdef\nxy\n").iter().all(|form| form.len() >= 4));
    }

    proptest! {
        #[test]
        fn a_value_inside_a_longer_encoded_text_is_found(
            before in proptest::collection::vec(any::<u8>(), 0..8),
            value in proptest::collection::vec(any::<u8>(), 5..40),
            after in proptest::collection::vec(any::<u8>(), 0..8),
        ) {
            let encoded = STANDARD.encode([before, value.clone(), after].concat());
            let found = of(&value).iter().any(|form| {
                encoded.as_bytes().windows(form.len()).any(|window| window == form)
            });
            prop_assert!(found, "{encoded}");
        }
    }
}
