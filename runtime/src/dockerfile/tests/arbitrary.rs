//! Whatever a file says, reading it ends with stages or with mistakes that have places in it.

use proptest::prelude::*;

use super::*;

/// Pieces that mean something, in any order.
fn file() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "FROM ",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "ONBUILD ",
        "HEALTHCHECK ",
        "CMD ",
        "SHELL ",
        "EXPOSE ",
        "--from=x ",
        "--chown=",
        "--",
        "\n",
        "\\\n",
        "`\n",
        "\\",
        "`",
        "# escape=`\n",
        "#",
        "<<EOF",
        "<<-",
        "EOF",
        "EOF\n",
        "\"",
        "'",
        "[\"",
        "\"]",
        "[",
        "]",
        "$",
        "${",
        "}",
        ":-",
        "/",
        "%",
        "*",
        "=",
        " ",
        "\t",
        "\r",
        "x",
        "ß",
        "\u{0}",
        "\u{feff}",
        "AS ",
        "CMD",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_ends(text in file()) {
        let lines = text.split('\n').count() + 1;
        if let Err(problems) = parse(text.as_bytes()) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.place.line >= 1 && problem.place.line <= lines);
                prop_assert!(problem.render("Dockerfile", &text).starts_with("error: "));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
        let _ = parse_trigger(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn words_end_and_are_bounded(text in file(), value in ".{0,20}") {
        if let Ok(word) = Expansion::new('\\').word(&text, &|name| (name != "x").then(|| value.clone())) {
            prop_assert!(word.len() <= 256 * 1024);
        }
    }
}
