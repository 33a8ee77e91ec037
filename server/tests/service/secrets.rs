//! Secrets: who sets them, who gets them, and where they are not.

use std::path::Path;

use protocol::Conclusion::Success;
use protocol::service::{
    Assignment, ProblemCode, Role, SecretText, Secrets, SetSecret, Submit, Trigger, Withheld, path,
};
use reqwest::Method;
use serde_json::{Value, json};
use server::{KeyError, ServerError};

use crate::harness::{Server, User, problem};

const VALUE: &str = "hunter2-and-more";

const PIPELINE: &str = "image: host\njobs:\n  a:\n    services: { db: { image: x, secrets: [DB] } }\n    steps: [{ run: make, secrets: [TOKEN] }]\n    \
                        after: [{ run: make, secrets: [LAST] }]\n  b: { needs: [a], steps: [{ run: make }] }\n";

impl Server {
    async fn set(&self, name: &str, repository: Option<&str>, more: Value) {
        let mut body = json!({ "value": format!("{VALUE} of {name}") });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let address = path::of_secret(name, repository);
        let request = self.admin.request(Method::PUT, &address).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    }
}

/// What an assignment has of secrets.
fn given(assignment: &Assignment) -> Vec<String> {
    let values = assignment.secrets.iter();
    let values = values.map(|(name, value)| format!("{name}: {}", value.expose()));
    let withheld = assignment.withheld.iter();
    values
        .chain(withheld.map(|(name, why)| format!("{name}: {why:?}")))
        .collect()
}

/// The files below a directory that have this in them.
fn with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with(&path, text));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(text.len())
            .any(|at| at == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn a_job_gets_the_secrets_that_it_names_and_no_file_has_them() {
    let mut server = with_key().await;
    for name in ["DB", "TOKEN", "OTHER"] {
        server.set(name, None, json!({})).await;
    }
    server.submit(PIPELINE).await;
    let agent = server.agent(&[]).await;
    let assignment = agent.take().await;
    assert_eq!(
        given(&assignment),
        [
            format!("DB: {VALUE} of DB"),
            format!("TOKEN: {VALUE} of TOKEN"),
            "LAST: NotSet".to_owned()
        ]
    );
    agent.finish(assignment.id, Success).await;
    assert_eq!(given(&agent.take().await), [""; 0], "b names none");

    let listed: Value = server.admin.get(path::SECRETS).await;
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 3);
    assert_eq!(listed["secrets"][0]["set_by"], "first administrator");
    assert!(!listed.to_string().contains("hunter2"), "{listed}");
    assert_eq!(with(server.directory.path(), "hunter2"), [""; 0]);
    // They are there after a restart, with the same key.
    server.restart().await;
    server.submit(PIPELINE).await;
    let agent = server.agent(&[]).await;
    assert_eq!(given(&agent.take().await).len(), 3);
}

/// On PostgreSQL a key is named; on SQLite it is made.
async fn with_key() -> Server {
    Server::start_with(|config| {
        if matches!(config.database, server::Location::Postgres(_)) {
            let file = config.data.with_extension("key");
            std::fs::write(&file, KEY).unwrap();
            config.secret_key_file = Some(file);
        }
    })
    .await
}

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n";

#[tokio::test]
async fn a_repositorys_secret_wins_and_each_is_for_its_events_and_branches() {
    let server = with_key().await;
    let pipeline = "image: host\nsteps: [{ run: x, secrets: [TOKEN, ALL] }]\n";
    let url = server.repository("one", pipeline);
    let other = server.repository("two", pipeline);
    let url_of = |path: &str| format!("file://{path}");
    server.set("TOKEN", None, json!({})).await;
    server.set("ALL", None, json!({})).await;
    let for_main =
        json!({ "value": "of the repository", "events": ["push"], "branches": ["main"] });
    server.set("TOKEN", Some(&url_of(&url)), for_main).await;
    let agent = server.agent(&[]).await;
    let trigger = |event: &str, more: Value| {
        let mut trigger = json!({ "event": event });
        let object = trigger.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        serde_json::from_value::<Trigger>(trigger).unwrap()
    };
    let all = format!("ALL: {VALUE} of ALL");
    for (repository, trigger, expected) in [
        (
            &url,
            trigger("push", json!({})),
            vec![all.clone(), "TOKEN: of the repository".to_owned()],
        ),
        (
            &url,
            trigger("push", json!({ "branch": "x" })),
            vec![all.clone(), "TOKEN: Branch".to_owned()],
        ),
        (
            &url,
            trigger("manual", json!({})),
            vec![all.clone(), "TOKEN: Event".to_owned()],
        ),
        (
            &other,
            trigger("manual", json!({})),
            vec![all.clone(), format!("TOKEN: {VALUE} of TOKEN")],
        ),
    ] {
        let submit = Submit {
            repository: Some(repository.clone()),
            trigger: trigger.clone(),
            ..Submit::default()
        };
        server.submitted(&submit).await;
        let assignment = agent.take().await;
        assert_eq!(given(&assignment), expected, "{trigger:?}");
        agent.finish(assignment.id, Success).await;
    }
    // The list is of one repository.
    let listed: Secrets = server.admin.get(&path::of_secrets(Some(&url))).await;
    assert_eq!(listed.secrets.len(), 1);
    assert_eq!(listed.secrets[0].repository, Some(url_of(&url)));
    let address = path::of_secret("TOKEN", Some(&url));
    for status in [204, 404] {
        let removed = server.admin.request(Method::DELETE, &address).send().await;
        assert_eq!(removed.unwrap().status(), status);
    }
}

#[tokio::test]
async fn what_is_no_secret_is_refused_and_only_administrators_keep_them() {
    let server = with_key().await;
    let set = |name: &str, value: &str| {
        let body = SetSecret {
            value: SecretText::new(value.to_owned()),
            events: Vec::new(),
            branches: Vec::new(),
        };
        let address = path::of_secret(name, None);
        server.admin.request(Method::PUT, &address).json(&body)
    };
    for (name, value, said) in [
        ("A-B", VALUE, "a secret's name has"),
        ("TOKEN", " ab ", "could not be masked"),
        ("TOKEN", "a\0bcd", "NUL"),
        ("TOKEN", &"x".repeat(70_000), "at most 65536 bytes"),
    ] {
        let refused = problem(set(name, value)).await;
        assert_eq!(refused.code, ProblemCode::Invalid);
        assert!(refused.message.contains(said), "{}", refused.message);
    }
    let writer = server.user(Role::Writer).await;
    for request in [
        writer.request(Method::GET, path::SECRETS),
        writer
            .request(Method::PUT, &path::of_secret("A", None))
            .json(&json!({ "value": VALUE })),
        writer.request(Method::DELETE, &path::of_secret("A", None)),
    ] {
        assert_eq!(problem(request).await.code, ProblemCode::Forbidden);
    }
}

#[tokio::test]
async fn a_server_with_another_key_does_not_start_and_one_with_both_encrypts_anew() {
    let mut server = with_key().await;
    server.set("TOKEN", None, json!({})).await;
    let old = match &server.config.secret_key_file {
        Some(file) => std::fs::read_to_string(file).unwrap(),
        None => std::fs::read_to_string(server.config.data.join("secret-key")).unwrap(),
    };
    let file = server.config.data.join("keys");
    let write = |text: String| std::fs::write(&file, text).unwrap();
    server.end().await;
    server.config.secret_key_file = Some(file.clone());
    let new = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";
    write(new.to_owned());
    let refused = server::start(server.config.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::Key(KeyError::Wrong { .. })),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("encrypted with a key"),
        "{refused}"
    );
    // Both, then only the new one.
    write(format!("{new}{old}"));
    server.start_again().await;
    server.end().await;
    write(new.to_owned());
    server.start_again().await;
    server.submit(PIPELINE).await;
    let agent = server.agent(&[]).await;
    let assignment = agent.take().await;
    assert!(given(&assignment).contains(&format!("TOKEN: {VALUE} of TOKEN")));
    // Without any key it does not start either.
    server.end().await;
    server.config.secret_key_file = None;
    let _ = std::fs::remove_file(server.config.data.join("secret-key"));
    let refused = server::start(server.config.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::Key(KeyError::Missing { .. })),
        "{refused:?}"
    );
    assert!(!server.config.data.join("secret-key").exists());
}

#[tokio::test]
async fn rows_that_change_places_do_not_open() {
    let server = with_key().await;
    let server::Location::Sqlite(file) = &server.config.database else {
        return;
    };
    server.set("TOKEN", None, json!({})).await;
    server.set("DB", None, json!({})).await;
    let swap = "UPDATE secrets SET sealed = (SELECT s.sealed FROM secrets s WHERE s.name = 'DB') WHERE name = 'TOKEN'";
    rusqlite::Connection::open(file)
        .unwrap()
        .execute(swap, [])
        .unwrap();
    server.submit(PIPELINE).await;
    let assignment = server.agent(&[]).await.take().await;
    assert_eq!(assignment.withheld["TOKEN"], Withheld::Unreadable);
    assert!(!given(&assignment).contains(&format!("TOKEN: {VALUE} of DB")));
}

#[tokio::test]
async fn git_at_the_end_of_a_url_makes_no_other_repository_of_it() {
    let server = with_key().await;
    let wanted = json!({
        "name": "mine", "kind": "user", "role": "admin",
        "repositories": ["https://git.example.org/x/y.git", "https://git.example.org/z.git/*", "/srv/local"],
    });
    let created: protocol::service::CreatedToken = server.admin.post(path::TOKENS, &wanted).await;
    let user = User::new(&server.admin.base, &created.secret);
    let set = |url: &str| {
        let request = user.request(Method::PUT, &path::of_secret("TOKEN", Some(url)));
        request.json(&json!({ "value": VALUE })).send()
    };
    for mine in [
        "https://git.example.org/x/y",
        "https://git.example.org/x/y.git",
        "https://git.example.org/x/y.git/",
        "https://me:password@git.example.org/x/y.git",
        "https://git.example.org/z.git/below",
        "/srv/local",
    ] {
        assert_eq!(set(mine).await.unwrap().status(), 204, "{mine}");
    }
    for other in [
        "https://git.example.org/x/y.git.git",
        "https://git.example.org/x/y/.git",
        "https://git.example.org/x/y.GIT",
        "https://git.example.org/x/y.git/z",
        "https://git.example.org/z/below",
        "ssh://git.example.org/x/y",
        "/srv/local.git",
    ] {
        assert_eq!(set(other).await.unwrap().status(), 403, "{other}");
    }
    let of = |url: &str| {
        let address = format!("{}?repository={url}", path::SECRETS);
        let user = &user;
        async move { user.get::<Secrets>(&address).await.secrets }
    };
    for url in [
        "https://git.example.org/x/y",
        "https://git.example.org/x/y.git",
    ] {
        let secrets = of(url).await;
        assert_eq!(secrets.len(), 1, "{url}");
        let known = secrets[0].repository.as_deref();
        assert_eq!(known, Some("https://git.example.org/x/y"));
    }
}
