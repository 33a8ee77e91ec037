use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use protocol::{Conclusion, Event, Output};

use super::{Json, PIECE};
use crate::log::{Chunk, StepId};
use crate::sink::Sink as _;

fn id() -> Arc<StepId> {
    Arc::new(StepId {
        job: "job".to_owned(),
        step: "step".to_owned(),
        index: 0,
    })
}

/// What the sink makes of a step that writes `chunks` and ends.
fn events(chunks: &[Vec<u8>]) -> Vec<Event> {
    let mut json = Json::default();
    let mut out = Vec::new();
    let mut offset = 0;
    for bytes in chunks.iter().filter(|bytes| !bytes.is_empty()) {
        let chunk = Chunk {
            step: id(),
            offset,
            bytes: bytes.clone(),
        };
        json.log(&chunk, &mut out).unwrap();
        offset += bytes.len() as u64;
    }
    let end = Event::StepFinished {
        job: "job".to_owned(),
        step: "step".to_owned(),
        conclusion: Conclusion::Success,
        cause: None,
        allowed: false,
        duration_ms: 0,
        usage: None,
    };
    json.event(&end, &mut out).unwrap();
    String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn outputs(chunks: &[Vec<u8>]) -> Vec<Output> {
    let outputs = events(chunks).into_iter().filter_map(|event| match event {
        Event::Log { output, .. } => Some(output),
        _ => None,
    });
    outputs.collect()
}

#[test]
fn a_character_in_two_chunks_is_one_character() {
    let crab = "🦀".as_bytes();
    assert_eq!(
        outputs(&[crab[..1].to_vec(), crab[1..3].to_vec(), crab[3..].to_vec()]),
        [Output::Text("🦀".to_owned())]
    );
}

#[test]
fn what_is_not_text_is_base64() {
    assert_eq!(
        outputs(&[vec![0xff, 0xfe]]),
        [Output::Base64("//4=".to_owned())]
    );
    assert_eq!(
        outputs(&[b"end\xf0\x9f".to_vec()]),
        [
            Output::Text("end".to_owned()),
            Output::Base64("8J8=".to_owned())
        ]
    );
}

proptest! {
    #[test]
    fn no_byte_is_lost_moved_or_doubled(
        chunks in vec(
            prop_oneof![
                vec(any::<u8>(), 0..8),
                "[aé→🦀\n]{0,8}".prop_map(String::into_bytes),
                (0..2 * PIECE).prop_map(|length| "é".repeat(length / 2).into_bytes()),
            ],
            0..6,
        ),
    ) {
        let mut bytes = Vec::new();
        for event in events(&chunks) {
            if let Event::Log { offset, output, .. } = event {
                prop_assert_eq!(offset, bytes.len() as u64);
                let piece = match output {
                    Output::Text(text) => text.into_bytes(),
                    Output::Base64(text) => STANDARD.decode(text).unwrap(),
                };
                prop_assert!(!piece.is_empty() && piece.len() <= PIECE);
                bytes.extend(piece);
            }
        }
        prop_assert_eq!(bytes, chunks.concat());
    }
}
