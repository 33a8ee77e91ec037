use super::*;

fn warning(text: &str) -> Event {
    Event::Warning {
        message: text.to_owned(),
    }
}

fn added(spool: &Spool, texts: &[&str]) -> String {
    let events = texts.iter().map(|text| warning(text));
    spool.add_events(events).unwrap();
    fs::read_to_string(spool.events()).unwrap()
}

#[test]
fn what_a_daemon_that_died_has_added_is_not_added_again() {
    let data = tempfile::tempdir().unwrap();
    let spool = Spool::at(data.path().to_owned());
    fs::write(spool.events(), "").unwrap();
    let once = added(&spool, &["a"]);
    assert_eq!(once.lines().count(), 1);
    assert_eq!(added(&spool, &["a"]), once);
    let both = added(&spool, &["a", "b"]);
    assert_eq!(both.lines().count(), 2);
    assert!(both.starts_with(&once), "{both}");
    // However much was there before.
    let line = format!("{}\n", "x".repeat(1000));
    fs::write(spool.events(), line.repeat(2000)).unwrap();
    let once = added(&spool, &["a"]);
    assert_eq!(added(&spool, &["a"]), once);
    assert_eq!(once.lines().count(), 2001);
}

#[test]
fn behind_half_a_line_nothing_is_added() {
    let data = tempfile::tempdir().unwrap();
    let spool = Spool::at(data.path().to_owned());
    fs::write(spool.events(), "{}\n{").unwrap();
    assert_eq!(added(&spool, &["a"]), "{}\n{");
}
