//! Whether a service answers over HTTP (RFC 9112).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The port of a URL that names none.
const PORT: u16 = 80;

/// The first line of an answer is at most this long, bytes.
const LONGEST_LINE: usize = 1 << 10;

/// A status from this one on says that something is wrong (RFC 9110, 15.5).
const BAD: u16 = 400;

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) port: u16,
    /// What the field `Host` says.
    host: String,
    /// Begins with `/`; holds no white space.
    path: String,
}

/// Why a text is no URL of a service; reads behind the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error("is neither a path nor a URL: it begins neither with `/` nor with `http://`")]
    Neither,
    #[error("has characters that no URL has; they have to be percent-encoded")]
    Characters,
    #[error("has a port that is none")]
    Port,
    #[error("is not at the service itself: its host is to be `localhost` or the service's name")]
    Elsewhere,
}

impl Target {
    /// Understands a URL, or a path, of the service called `service`.
    pub(super) fn parse(text: &str, service: &str) -> Result<Self, TargetError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Characters);
        }
        let text = text.split('#').next().unwrap_or_default();
        if text.starts_with('/') {
            return Ok(Self {
                port: PORT,
                host: service.to_owned(),
                path: text.to_owned(),
            });
        }
        let rest = text.strip_prefix("http://").ok_or(TargetError::Neither)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, port.ok_or(TargetError::Port)?)
            }
            _ => (authority, PORT),
        };
        if ![service, "localhost", "127.0.0.1", "[::1]"].contains(&host) {
            return Err(TargetError::Elsewhere);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            port,
            host: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }

    /// Asks over a connection.
    ///
    /// # Errors
    /// Why the answer is not one of a service that is ready.
    pub(super) async fn ask(
        &self,
        mut connection: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Result<(), String> {
        let Self { host, path, .. } = self;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: slipway\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        let line = async {
            connection.write_all(request.as_bytes()).await?;
            connection.flush().await?;
            first_line(&mut connection).await
        };
        let line = line.await.map_err(|error| error.to_string())?;
        match status(&line) {
            Some(status) if status < BAD => Ok(()),
            Some(status) => Err(format!("HTTP status {status}")),
            None => Err("what answers does not speak HTTP/1".to_owned()),
        }
    }
}

/// The first line of an answer, or what there is of it.
async fn first_line(connection: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut bounded = connection.take(LONGEST_LINE as u64);
    while !line.contains(&b'\n') && bounded.read_buf(&mut line).await? > 0 {}
    Ok(line)
}

/// The status of an answer that begins with this line: `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5).filter(|_| rest[1] == b' ')?;
    let is_whole = rest.get(5).is_none_or(|byte| !byte.is_ascii_digit());
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_whole)?;
    digits.parse().ok().filter(|status| *status >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        match Target::parse(text, "web") {
            Ok(Target { port, host, path }) => format!("{host} {port} {path}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_and_urls_of_the_service_are_understood() {
        for (text, target) in [
            ("/health?full=1", "web 80 /health?full=1"),
            (
                "http://localhost:8080/health#part",
                "localhost:8080 8080 /health",
            ),
            ("http://web", "web 80 /"),
            ("http://web?x", "web 80 /?x"),
            ("http://[::1]:9/", "[::1]:9 9 /"),
            ("http://[::1]/", "[::1] 80 /"),
        ] {
            assert_eq!(parsed(text), target, "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_nowhere_is_refused() {
        for (text, error) in [
            ("health", TargetError::Neither),
            ("https://localhost/", TargetError::Neither),
            ("http://example.org/", TargetError::Elsewhere),
            ("http://user@web/", TargetError::Elsewhere),
            ("http://web:0/", TargetError::Port),
            ("http://web:70000/", TargetError::Port),
            ("/a b", TargetError::Characters),
            ("/\r\nX: y", TargetError::Characters),
            ("/\u{e9}", TargetError::Characters),
        ] {
            assert_eq!(parsed(text), error.to_string(), "{text}");
        }
    }

    async fn answered(answer: &[u8]) -> Result<(), String> {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        Target::parse("/x", "web").unwrap().ask(ours).await
    }

    #[tokio::test]
    async fn the_status_decides() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\n").await, Ok(()));
        assert_eq!(answered(b"HTTP/1.0 302 Found\r\n").await, Ok(()));
        assert_eq!(answered(b"HTTP/1.1 204").await, Ok(()));
        let failed = answered(b"HTTP/1.1 503 Service Unavailable\r\n").await;
        assert_eq!(failed, Err("HTTP status 503".to_owned()));
    }

    #[tokio::test]
    async fn nonsense_is_no_answer_however_long_it_is() {
        let long = vec![b'x'; 32 << 10];
        let cases: [&[u8]; 7] = [
            b"",
            b"220 smtp ready\r\n",
            b"HTTP/2 200\r\n",
            b"HTTP/1.1 2000 OK\r\n",
            b"HTTP/1.1  20\r\n",
            b"HTTP/1.1 20\n0",
            &long,
        ];
        for nonsense in cases {
            let error = answered(nonsense).await.unwrap_err();
            assert_eq!(error, "what answers does not speak HTTP/1");
        }
    }

    #[tokio::test]
    async fn the_request_is_one_that_every_server_understands() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        theirs.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        let target = Target::parse("http://localhost:8080/health", "web").unwrap();
        target.ask(ours).await.unwrap();
        let mut request = String::new();
        theirs.read_to_string(&mut request).await.unwrap();
        assert_eq!(
            request,
            "GET /health HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: slipway\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
    }
}
