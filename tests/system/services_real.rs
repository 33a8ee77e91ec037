//! PostgreSQL and Redis as services, and their own clients in a step.

use harness::{Finished, TestEnvironment, for_everyone, for_users_with_ranges, images};
use serde_json::Value;

use crate::support::run_local;

for_everyone!(
    postgresql_and_redis_serve_their_own_clients,
    a_database_that_dies_takes_its_client_with_it,
);

for_users_with_ranges!(a_database_begins_as_root_and_goes_on_as_its_own_user);

/// PostgreSQL on a new directory, at all addresses, for everybody.
const DATABASE: &str = r#"
export PATH=$PATH:$(echo /usr/lib/postgresql/*/bin) PGDATA=/tmp/data
$AS initdb --username postgres --auth trust --no-sync
echo "host all all all trust" >> $PGDATA/pg_hba.conf
exec $AS postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
"#;

/// A job whose service `db` is made from an image of both, and whose service `cache` too, with these steps.
fn pipeline(image: &str, env: &str, steps: &str) -> String {
    let image = format!("oci:{}", images::path(image).display());
    let database = serde_json::to_string(DATABASE).unwrap_or_default();
    format!(
        r#"image: "{image}"
jobs:
  main:
    services:
      db:
        image: "{image}"
        env: {{ {env} }}
        args: [sh, -ec, {database}]
        ready: {{ run: psql --host 127.0.0.1 --username postgres --command 'select 1' }}
      cache:
        image: "{image}"
        args: [redis-server, --bind, 0.0.0.0, --protected-mode, 'no', --save, '']
        ready: {{ log: Ready to accept connections }}
    steps:
{steps}"#
    )
}

/// What both are asked.
const CLIENTS: &str = r#"
      - name: database
        env: { PGUSER: postgres, PGHOST: db }
        run: |
          psql -q -c 'create table answers (question text primary key, answer int)'
          psql -q -c "insert into answers values ('six by seven', 42), ('two by two', 4)"
          psql -A -t -h db.pod -c 'select question, answer from answers order by answer desc'
          psql -q -c "insert into answers values ('two by two', 5)" 2> /tmp/error && exit 1
          grep -o 'duplicate key value' /tmp/error
          seq 1 100000 | psql -q -c 'create table many (n int)' -c 'copy many from stdin'
          psql -A -t -c 'select count(*), sum(n) from many'
      - name: cache
        run: |
          redis-cli -h cache set key 'two words'
          redis-cli -h cache.pod get key
          for n in $(seq 1 1000); do echo "rpush list $n"; done | redis-cli -h cache > /dev/null
          redis-cli -h cache llen list
"#;

fn postgresql_and_redis_serve_their_own_clients(env: &TestEnvironment) {
    env.pipeline(&pipeline("services:postgres", "", CLIENTS));
    asked(env);
}

fn a_database_begins_as_root_and_goes_on_as_its_own_user(env: &TestEnvironment) {
    let change = "AS: setpriv --reuid postgres --regid postgres --init-groups";
    env.pipeline(&pipeline("services:latest", change, CLIENTS));
    asked(env);
}

fn asked(env: &TestEnvironment) {
    let done = run_local(env, &["--json"]).expect(0);
    assert_eq!(
        done.log("database"),
        "six by seven|42\ntwo by two|4\nduplicate key value\n100000|5000050000\n"
    );
    assert_eq!(done.log("cache"), "OK\ntwo words\n1000\n");
    for service in ["db", "cache"] {
        let _ = event(&done, "service_ready", "service", service);
        let end = event(&done, "service_finished", "service", service);
        assert_eq!(end["conclusion"], "success", "{end}");
        assert!(
            end["usage"]["max_rss_bytes"].as_u64() > Some(1 << 20),
            "{end}"
        );
    }
}

/// The step would go on without its database for as long as it likes.
fn a_database_that_dies_takes_its_client_with_it(env: &TestEnvironment) {
    let steps = r#"
      - name: client
        env: { PGUSER: postgres, PGHOST: db }
        run: |
          psql -c "copy (select 1) to program 'kill -QUIT \$(head -n 1 /tmp/data/postmaster.pid)'" || true
          psql -c "select pg_sleep(600)" || sleep 600
"#;
    env.pipeline(&pipeline("services:postgres", "", steps));
    let done = run_local(env, &["--json"]).expect(1);
    let end = event(&done, "service_finished", "service", "db");
    assert_eq!(end["conclusion"], "failure", "{end}");
    let step = event(&done, "step_finished", "step", "client");
    assert_eq!(step["cause"]["kind"], "service", "{step}");
    assert_eq!(step["cause"]["service"], "db", "{step}");
    assert_eq!(step["cause"]["why"], end["cause"], "{step}");
    let cache = event(&done, "service_finished", "service", "cache");
    assert_eq!(cache["conclusion"], "success", "{cache}");
}

/// The only event of a kind about a service or a step.
fn event(done: &Finished, kind: &str, about: &str, name: &str) -> Value {
    let events = done.events();
    let mut found = events
        .iter()
        .filter(|event| event["type"] == kind && event[about] == name);
    match (found.next(), found.next()) {
        (Some(event), None) => event.clone(),
        _ => panic!("no or many {kind} of {name}: {done}"),
    }
}
