//! Collecting beside other users of a store: what they use stays, what they have left goes.

use super::*;

async fn collect(place: &Place, retention: Retention) -> Collected {
    let worker = place.worker();
    place.store.collect(&retention, &worker).await.unwrap()
}

fn everything() -> Retention {
    Retention {
        older_than: Some(std::time::Duration::ZERO),
        ..Retention::default()
    }
}

/// Another process's view of the same store.
fn another(place: &Place) -> Store {
    let path = place.path();
    Store::open(&path.join("meta"), &path.join("layers")).unwrap()
}

#[tokio::test]
async fn what_a_living_store_has_pulled_stays_until_it_is_gone() {
    let fake = serve(Repository::image("app", "1", &[base(), upper()])).await;
    let mut place = Place::new();
    let image = format!("{}/app:1", fake.host());
    place.pull(&image).await.unwrap();
    // The one that has pulled it, and one that looks from outside.
    for store in [place.store.clone(), another(&place)] {
        let worker = place.worker();
        let collected = store.collect(&everything(), &worker).await.unwrap();
        assert_eq!(collected, Collected::default());
    }
    // Its name is taken away: the layers stay all the same.
    let images = place.store.images().unwrap();
    assert!(images[0].in_use);
    let removed = another(&place)
        .remove(&images, &place.worker())
        .await
        .unwrap();
    assert_eq!((removed.images.len(), removed.in_use), (1, 2));
    assert_eq!(place.layers().len(), 2);
    place.store = another(&place);
    let collected = collect(&place, Retention::default()).await;
    assert_eq!(collected.layers.len(), 2);
    assert_eq!(place.layers(), [""; 0]);
    assert_eq!(
        std::fs::read_dir(place.path().join("layers"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(
        std::fs::read_dir(place.path().join("meta/leases"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn leases_of_the_dead_count_nothing_and_those_of_newer_programs_everything() {
    let fake = serve(Repository::image("app", "1", &[base()])).await;
    let mut place = Place::new();
    place.pull(&format!("{}/app:1", fake.host())).await.unwrap();
    place.store = another(&place);
    let lease = place.path().join("meta/leases/other");
    std::fs::write(&lease, "something new\n").unwrap();
    let held = std::fs::File::open(&lease).unwrap();
    held.lock().unwrap();
    assert_eq!(collect(&place, everything()).await, Collected::default());
    // Its process ends.
    drop(held);
    let collected = collect(&place, everything()).await;
    assert_eq!((collected.images.len(), collected.layers.len()), (1, 1));
    assert!(!lease.exists());
}

#[tokio::test]
async fn a_record_that_only_a_newer_program_reads_keeps_all_layers() {
    let fake = serve(Repository::image("app", "1", &[base()])).await;
    let mut place = Place::new();
    place.pull(&format!("{}/app:1", fake.host())).await.unwrap();
    place.store = another(&place);
    let newer = place.path().join("meta/images/newer.json");
    std::fs::write(&newer, r#"{"version":2,"layers":{"sha512":["x"]}}"#).unwrap();
    let collected = collect(&place, everything()).await;
    assert_eq!((collected.images.len(), collected.layers.len()), (1, 0));
    assert_eq!(place.layers().len(), 1);
    // One that a power cut has emptied does not.
    std::fs::write(&newer, "").unwrap();
    assert_eq!(collect(&place, everything()).await.layers.len(), 1);
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let fake = serve(Repository::image("app", "1", &[base(), upper()])).await;
    let mut place = Place::new();
    place.pull(&format!("{}/app:1", fake.host())).await.unwrap();
    place.store = another(&place);
    let dry = Retention {
        dry_run: true,
        ..everything()
    };
    let said = collect(&place, dry).await;
    assert_eq!(place.layers().len(), 2);
    let done = collect(&place, everything()).await;
    assert_eq!(said, done);
    assert!(done.bytes > 0);
}

#[tokio::test]
async fn old_documents_go_with_their_image_and_fresh_ones_stay() {
    let fake = serve(Repository::image("app", "1", &[base()])).await;
    let mut place = Place::new();
    place.pull(&format!("{}/app:1", fake.host())).await.unwrap();
    place.store = another(&place);
    let documents = place.path().join("meta/blobs/sha256");
    let count = || std::fs::read_dir(&documents).unwrap().count();
    assert_eq!(count(), 2);
    collect(&place, everything()).await;
    // A pull that writes its record in a moment may have written them.
    assert_eq!(count(), 2);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    for entry in std::fs::read_dir(&documents).unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    collect(&place, everything()).await;
    assert_eq!(count(), 0);
}

#[tokio::test]
async fn what_verify_finds_is_fetched_anew_after_a_repair() {
    let fake = serve(Repository::image("app", "1", &[base(), upper()])).await;
    let mut place = Place::new();
    let image = format!("{}/app:1", fake.host());
    place.pull(&image).await.unwrap();
    let images = place.store.images().unwrap();
    let worker = place.worker();
    let whole = place.store.verify(&images, &worker).await.unwrap();
    assert_eq!((whole[0].findings.len(), whole[0].layers), (0, 2));
    std::fs::write(place.store.layer(&base().1.hex()).join("etc/motd"), "HELLO").unwrap();
    let config = images[0].id;
    std::fs::write(
        place.path().join("meta/blobs/sha256").join(config.hex()),
        "{}",
    )
    .unwrap();
    let found = place.store.verify(&images, &worker).await.unwrap();
    let texts: Vec<String> = found[0].findings.iter().map(ToString::to_string).collect();
    assert_eq!(found[0].damaged, [base().1.hex()], "{texts:?}");
    assert!(
        texts[0].starts_with("the configuration sha256:"),
        "{texts:?}"
    );
    // What is in use stays, though it is damaged.
    let damaged = &found[0].damaged;
    assert_eq!(place.store.discard(damaged, &worker).await.unwrap(), 0);
    place.store = another(&place);
    assert_eq!(place.store.discard(damaged, &worker).await.unwrap(), 1);
    place.pull(&image).await.unwrap();
    let again = place.store.images().unwrap();
    let whole = place.store.verify(&again, &worker).await.unwrap();
    assert_eq!(whole[0].findings, []);
}

/// More than are locked at once.
#[tokio::test]
async fn any_number_of_layers_goes_at_once() {
    let layers: Vec<_> = (0..140)
        .map(|number| layer(Tar::new().file(&number.to_string(), "")))
        .collect();
    let fake = serve(Repository::image("app", "1", &layers)).await;
    let mut place = Place::new();
    place.pull(&format!("{}/app:1", fake.host())).await.unwrap();
    assert_eq!(place.layers().len(), 140);
    place.store = another(&place);
    let dry = Retention {
        dry_run: true,
        ..everything()
    };
    assert_eq!(collect(&place, dry).await.layers.len(), 140);
    assert_eq!(collect(&place, everything()).await.layers.len(), 140);
    assert_eq!(place.layers(), [""; 0]);
}
