//! `docs/events.md` says what the types say.

use protocol::Event;

const PAGE: &str = include_str!("../../docs/events.md");

#[test]
fn the_example_of_the_page_is_made_of_events_as_they_are_written() {
    let (_, example) = PAGE.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    for line in example.lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
    }
}

#[test]
fn every_type_of_event_and_cause_has_its_row() {
    let listed = |error: serde_json::Error| {
        // "unknown variant `?`, expected one of `a`, `b` at ..": serde knows them all.
        let message = error.to_string();
        let (_, names) = message.split_once("expected one of ").unwrap();
        let names = names.split('`').skip(1).step_by(2);
        names.map(ToOwned::to_owned).collect::<Vec<String>>()
    };
    let events = serde_json::from_str::<Event>(r#"{"type":"?"}"#).unwrap_err();
    let causes = serde_json::from_str::<protocol::Cause>(r#"{"kind":"?"}"#).unwrap_err();
    let conclusions = serde_json::from_str::<protocol::Conclusion>(r#""?""#).unwrap_err();
    for name in [events, causes, conclusions].into_iter().flat_map(listed) {
        assert!(
            PAGE.contains(&format!("\n| `{name}` |")),
            "no row for {name}"
        );
    }
}
