//! A host that sends elsewhere.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use repository::{Allowed, Credentials, Remote, Secret, Unwatched, Url};
use support::Place;

/// Answers every request with the same head, and keeps what it was asked, in lower case.
fn scripted(answer: String) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut piece = [0; 1024];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(count @ 1..) => head.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            kept.lock().unwrap().push(head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, asked)
}

#[test]
fn a_host_that_is_redirected_to_is_shown_no_credentials() {
    let place = Place::new();
    let (thief, asked) = scripted(
        "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_owned(),
    );
    let (forge, _) = scripted(format!(
        "HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:{thief}/x/info/refs?service=git-upload-pack\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    let text = format!("http://127.0.0.1:{forge}/x");
    let remote = Remote {
        credentials: Credentials::Token(Secret::new("hunter2".to_owned())),
        ..Remote::public(Url::parse(&text, Allowed::default()).unwrap())
    };
    let error = place.mirrors.resolve(&remote, "main", &Unwatched);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("redirects to another one"), "{error}");
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty());
    assert!(
        !asked.iter().any(|head| head.contains("authorization")),
        "{asked:?}"
    );
}
