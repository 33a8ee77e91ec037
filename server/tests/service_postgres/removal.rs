//! Much is removed at once from a bucket.

use std::path::Path;

use crate::s3::S3;

/// Has an archive of each of so many attempts be one to be removed: its object, and the statements that make its rows.
fn archives(bucket: &Path, count: u64) -> String {
    let mut statements = String::new();
    for job in 1_000..1_000 + count {
        let object = format!("ci/logs/{job}-1/artifact-app/0000000000000000-dead");
        let file = bucket.join(&object);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"it").unwrap();
        statements += &format!(
            "INSERT INTO streams (job, attempt, name, length) VALUES ({job}, 1, 'artifact-app', 2);\
             INSERT INTO pieces (job, attempt, name, start, length, object) VALUES ({job}, 1, 'artifact-app', 0, 2, '{object}');\
             INSERT INTO remains (job, attempt, what, due) VALUES ({job}, 1, 'artifact-app', 0);"
        );
    }
    statements
}

#[tokio::test]
async fn many_are_removed_at_once_and_those_that_are_left_are_counted() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    s3.faults.hold_removals();
    let all = 40;
    let statements = archives(&s3.directory.path().join("bucket"), all);
    server.database().execute(&statements);
    s3.faults.wait_for_held(16).await;
    let metrics = server.metrics().await;
    assert!(metrics.contains("slipway_removals 40\n"), "{metrics}");
    s3.faults.release();
    s3.wait_for_objects(0).await;
    let removed = "SELECT COUNT(*) FROM remains WHERE removed = 1";
    server.database().wait_for(removed, 40).await;
    let rows = "SELECT (SELECT COUNT(*) FROM pieces) + (SELECT COUNT(*) FROM streams)";
    server.database().wait_for(rows, 0).await;
}

#[tokio::test]
async fn a_clock_of_the_database_that_was_ahead_holds_nothing_up_behind_the_next_start() {
    let s3 = S3::start().await;
    let mut server = s3.server(4 << 20).await;
    server.end().await;
    let statements = archives(&s3.directory.path().join("bucket"), 1);
    server.database().execute(&statements);
    let ahead =
        "UPDATE remains SET tries = 3, due = (EXTRACT(EPOCH FROM now()) + 365 * 86400) * 1000";
    server.database().execute(ahead);
    server.start_again().await;
    s3.wait_for_objects(0).await;
}

#[tokio::test]
async fn many_go_at_once_from_a_bucket_that_takes_its_time_for_each_answer() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    s3.faults.slow_down(25);
    let statements = archives(&s3.directory.path().join("bucket"), 100);
    server.database().execute(&statements);
    let left = "SELECT COUNT(*) FROM remains WHERE removed = 0";
    server.database().wait_for(left, 0).await;
}
