//! A server of this program on a database that is made of the schema's first steps, and of rows that those servers have written.

use std::path::Path;

use server::Config;

/// What its artifacts are by the schema of today: which are to be removed, whose the others are, and how many bytes those have.
pub(crate) const LEFT: [&str; 3] = [
    "SELECT job * 100 + attempt FROM remains WHERE what = 'artifacts' ORDER BY 1",
    "SELECT repository FROM artifacts WHERE expired = 0 ORDER BY 1",
    "SELECT CAST(SUM(bytes) AS BIGINT) FROM artifact_bytes GROUP BY repository ORDER BY 1",
];
/// Those of its repositories that are known by the names that they have to have: hosts take `.git` and leave it.
pub(crate) const KNOWN: &str = "SELECT id FROM repositories WHERE url IN ('https://h/a/b', 'https://h/c/d', 'https://h/c/d.git', \
     'file:///srv/x.git', 'ssh://git@h/~/.git', 'https://h/e.git.git', 'https://h/f.GIT', 'ssh://git@h/~/a/b') ORDER BY id";
pub(crate) const UNSAID: &str =
    "SELECT job * 100 + attempt FROM remains WHERE what LIKE 'artifact-%' ORDER BY 1";

/// The statements that make a database of schema 4 with rows in it.
pub(crate) fn schema_4(id: &str, blob: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let steps = (1..=4).map(|step| format!("src/database/schema/{step}.sql"));
    let files = steps.chain(["tests/fixtures/schema-4.sql".to_owned()]);
    let text: String = files
        .map(|file| std::fs::read_to_string(root.join(file)).unwrap())
        .collect();
    let version = "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version (version) VALUES (4);";
    format!("{version}\n{text}")
        .replace("{id}", id)
        .replace("{blob}", blob)
}

/// Starts a server on it, and ends it when it has removed what is to be removed.
pub(crate) async fn upgrade(config: Config) {
    let logs = config.data.join("logs/0");
    let files = |of: &[&str]| of.iter().map(|file| logs.join(file)).collect::<Vec<_>>();
    let going = files(&[
        "1-1/artifact-app",
        "1-2/artifact-unsaid",
        "2-1/artifact-app",
    ]);
    let staying = files(&["1-1/step-0", "1-2/artifact-app", "2-2/artifact-app"]);
    for file in going.iter().chain(&staying) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"it").unwrap();
    }
    let running = server::start(config).await.unwrap();
    for _ in 0..200 {
        if going.iter().all(|file| !file.exists()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.shutdown.now();
    running.ended().await.unwrap();
    let left: Vec<_> = going.iter().filter(|file| file.exists()).collect();
    assert!(left.is_empty(), "{left:?} stay");
    assert!(staying.iter().all(|file| file.exists()));
}
