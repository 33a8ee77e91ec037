use proptest::collection::vec;
use proptest::prelude::*;

use super::{LINE_LIMIT, Prefixer};

const PREFIX: &str = "[job] ";

fn prefixed(chunks: &[&[u8]]) -> Vec<u8> {
    let mut prefixer = Prefixer::new(PREFIX.to_owned());
    let mut out = Vec::new();
    for chunk in chunks {
        prefixer.push(chunk, &mut out).unwrap();
    }
    prefixer.finish(&mut out).unwrap();
    out
}

fn text(chunks: &[&[u8]]) -> String {
    String::from_utf8(prefixed(chunks)).unwrap()
}

#[test]
fn a_line_is_shown_when_it_is_complete() {
    let mut prefixer = Prefixer::new(PREFIX.to_owned());
    let mut out = Vec::new();
    prefixer.push(b"one\ntw", &mut out).unwrap();
    assert_eq!(out, b"[job] one\n");
    prefixer.push(b"o", &mut out).unwrap();
    assert_eq!(out, b"[job] one\n");
    prefixer.push(b"\n\n", &mut out).unwrap();
    assert_eq!(out, b"[job] one\n[job] two\n[job] \n");
}

#[test]
fn an_open_line_is_closed_at_the_end() {
    assert_eq!(text(&[b"a\nb"]), "[job] a\n[job] b\n");
    assert_eq!(text(&[]), "");
}

#[test]
fn a_progress_bar_keeps_the_prefix() {
    assert_eq!(
        text(&[b"10%\r20%\ndone\r\n"]),
        "[job] 10%\r[job] 20%\n[job] done\r\n"
    );
}

#[test]
fn an_endless_line_is_split() {
    let line = vec![b'x'; 3 * LINE_LIMIT + 5];
    let out = prefixed(&[&line[..7], &line[7..]]);
    let lengths: Vec<usize> = out
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| line.len() - PREFIX.len() - 1)
        .collect();
    assert_eq!(lengths, [LINE_LIMIT, LINE_LIMIT, LINE_LIMIT, 5]);
}

/// Output as steps make it: lines, empty lines, carriage returns, and now and then a very long line.
fn output() -> impl Strategy<Value = Vec<u8>> {
    vec(
        prop_oneof![
            8 => "[a-z \n\r]{0,40}".prop_map(String::into_bytes),
            1 => (LINE_LIMIT - 2..2 * LINE_LIMIT + 2).prop_map(|length| vec![b'#'; length]),
        ],
        0..6,
    )
    .prop_map(|pieces| pieces.concat())
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter()
        .map(|end| {
            let piece = &bytes[start..end];
            start = end;
            piece
        })
        .filter(|piece| !piece.is_empty())
        .collect()
}

fn without_newlines(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .filter(|&byte| byte != b'\n')
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_byte_is_lost_or_doubled_and_every_line_has_its_prefix(
        bytes in output(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let out = String::from_utf8(prefixed(&cut(&bytes, &cuts))).unwrap();
        prop_assert!(out.is_empty() || out.ends_with('\n'));
        for line in out.split_inclusive('\n') {
            prop_assert!(line.starts_with(PREFIX), "{:?}", line);
        }
        let stripped = out.replace(PREFIX, "");
        prop_assert_eq!(without_newlines(stripped.as_bytes()), without_newlines(&bytes));
        let longest = bytes.split(|&byte| byte == b'\n').map(<[u8]>::len).max().unwrap_or(0);
        if longest < LINE_LIMIT {
            let closed = if bytes.is_empty() || bytes.ends_with(b"\n") { "" } else { "\n" };
            let expected = [&bytes[..], closed.as_bytes()].concat();
            prop_assert_eq!(stripped.into_bytes(), expected);
        }
    }

    #[test]
    fn lines_of_two_steps_are_never_mixed(
        outputs in [output(), output()],
        cuts in [vec(any::<prop::sample::Index>(), 0..8), vec(any::<prop::sample::Index>(), 0..8)],
        turns in vec(0_usize..2, 0..16),
    ) {
        let mut prefixers = [Prefixer::new("[a] ".to_owned()), Prefixer::new("[b] ".to_owned())];
        let mut chunks = [0, 1].map(|step| cut(&outputs[step], &cuts[step]).into_iter());
        let mut out = Vec::new();
        for step in turns.into_iter().chain([0, 1].repeat(16)) {
            if let Some(chunk) = chunks[step].next() {
                prefixers[step].push(chunk, &mut out).unwrap();
            }
        }
        for prefixer in &mut prefixers {
            prefixer.finish(&mut out).unwrap();
        }
        let out = String::from_utf8(out).unwrap();
        for (step, name) in ["[a] ", "[b] "].iter().enumerate() {
            let own: String = out.split_inclusive('\n').filter(|line| line.starts_with(name)).collect();
            let alone = [Prefixer::new((*name).to_owned())].map(|mut prefixer| {
                let mut out = Vec::new();
                prefixer.push(&outputs[step], &mut out).unwrap();
                prefixer.finish(&mut out).unwrap();
                String::from_utf8(out).unwrap()
            });
            prop_assert_eq!(own, alone.concat());
        }
    }
}
