//! One connection of a server that has git's own program answer.
#![allow(
    clippy::allow_attributes,
    unreachable_pub,
    reason = "tests of several crates use it"
)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Answers one request for a repository below `root` by `git http-backend`; `authorization` is what the header must say. `None` where
/// nothing more is to be said.
pub fn answer(
    stream: impl Read + Write,
    root: &Path,
    authorization: Option<&str>,
    sent: &AtomicU64,
    halves: bool,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = std::collections::HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    if let Some(wanted) = authorization
        && headers.get("authorization").map(String::as_str) != Some(wanted)
    {
        let _ = reader.get_mut().write_all(
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        return None;
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    } else if headers.contains_key("transfer-encoding") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", method)
        .env(
            "CONTENT_TYPE",
            headers.get("content-type").map_or("", String::as_str),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let feeding = std::thread::spawn(move || input.write_all(&body));
    let output = child.wait_with_output().ok()?.stdout;
    let _ = feeding.join();
    let split = output.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&output[..split]);
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    sent.fetch_add((output.len() - split) as u64, Ordering::SeqCst);
    let length = output.len() - split;
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{head}");
    let writer = reader.get_mut();
    writer.write_all(head.as_bytes()).ok()?;
    let body = &output[split..];
    if halves && body.len() > 100_000 {
        writer.write_all(&body[..body.len() / 2]).ok()?;
        writer.flush().ok()?;
        // Until the other side is tired of it.
        let _ = reader.read(&mut [0]);
        return None;
    }
    writer.write_all(body).ok()?;
    writer.flush().ok()
}
