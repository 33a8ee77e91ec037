//! Text that cannot do anything to a terminal but be read.

/// Drops escape sequences; what else controls a terminal or the direction of text becomes `?`, a tab a space.
#[must_use]
pub fn sanitise(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => match characters.next() {
                // CSI: parameters and intermediates, then one final byte (ECMA-48, 5.4).
                Some('[') => {
                    let _ = characters.find(|next| ('@'..='~').contains(next));
                }
                // OSC, DCS, SOS, PM and APC: up to BEL or ST. Without an end nothing of the rest was text.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(next) = characters.next() {
                        if next == '\x07'
                            || (next == '\x1b' && characters.next_if_eq(&'\\').is_some())
                        {
                            break;
                        }
                    }
                }
                // A character set: one more character.
                Some('(' | ')' | '*' | '+') => {
                    let _ = characters.next();
                }
                Some(_) | None => {}
            },
            '\t' => clean.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                clean.push('?');
            }
            control if control.is_control() => clean.push('?'),
            plain => clean.push(plain),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sanitise;

    #[test]
    fn escape_sequences_vanish() {
        assert_eq!(sanitise("\x1b[1;31merror\x1b[0m: no"), "error: no");
        assert_eq!(
            sanitise("\x1b]0;title\x07text\x1b]8;;u\x1b\\link"),
            "textlink"
        );
        assert_eq!(sanitise("\x1b(Bplain\x1bc"), "plain");
        assert_eq!(sanitise("cut\x1b["), "cut");
    }

    #[test]
    fn other_controls_are_shown_as_question_marks() {
        assert_eq!(sanitise("a\x07b\tc\u{9b}31m\u{202e}d"), "a?b c?31m?d");
        assert_eq!(sanitise("grüße 🦀"), "grüße 🦀");
    }

    proptest! {
        #[test]
        fn nothing_that_controls_a_terminal_is_left(text in "(.|\x1b\\[?|\x07|\r|\n){0,64}") {
            prop_assert!(!sanitise(&text).chars().any(char::is_control));
        }
    }
}
