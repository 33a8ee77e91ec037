//! `--record-network`: what each step reached, as the `network` that would let it reach just that.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use indexmap::IndexMap;
use protocol::{Event, Protocol};

use super::{Sink, sanitise};
use crate::log::Chunk;

/// Passes everything on, and tells at the end of a run what its steps reached.
#[derive(Debug)]
pub struct Recorded<S> {
    inner: S,
    /// By job and step, in the order of their first use.
    reached: IndexMap<(String, String), BTreeSet<String>>,
}

impl<S> Recorded<S> {
    /// Of whatever `inner` shows.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            reached: IndexMap::new(),
        }
    }

    fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.reached.is_empty() {
            return writeln!(
                out,
                "# no step has reached anything: `network: none` will do"
            );
        }
        for ((job, step), targets) in &self.reached {
            writeln!(out, "# job {}, {}", sanitise(job), sanitise(step))?;
            writeln!(out, "network:\n  allow:")?;
            for target in targets {
                writeln!(out, "    - {}", serde_json::Value::from(target.as_str()))?;
            }
        }
        Ok(())
    }
}

impl<S: Sink> Sink for Recorded<S> {
    fn event(&mut self, event: &Event, out: &mut dyn Write) -> io::Result<()> {
        self.inner.event(event, out)?;
        match event {
            Event::NetworkReached {
                job,
                step,
                host,
                port,
                protocol,
            } => {
                let key = (job.clone(), step.clone());
                let targets = self.reached.entry(key).or_default();
                targets.insert(target(host, *port, *protocol));
                Ok(())
            }
            Event::RunFinished { .. } => self.tell(out),
            _ => Ok(()),
        }
    }

    fn log(&mut self, chunk: &Chunk, out: &mut dyn Write) -> io::Result<()> {
        self.inner.log(chunk, out)
    }

    fn progress(&mut self, image: &str, received: u64, total: Option<u64>) {
        self.inner.progress(image, received, total);
    }

    fn idle(&mut self, now: u64, out: &mut dyn Write) -> io::Result<()> {
        self.inner.idle(now, out)
    }

    fn interval(&self) -> Option<Duration> {
        self.inner.interval()
    }
}

/// An entry of `allow`.
fn target(host: &str, port: u16, protocol: Protocol) -> String {
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if port != 0 => format!("[{address}]"),
        _ => host.to_owned(),
    };
    match protocol {
        Protocol::Tcp | Protocol::Udp => format!("{host}:{port}"),
        Protocol::Icmp | Protocol::Dns => host,
    }
}

#[cfg(test)]
mod tests {
    use protocol::Conclusion;

    use super::*;
    use crate::sink::Json;

    #[test]
    fn what_steps_reached_is_a_list_to_copy() {
        let mut sink = Recorded::new(Json::default());
        let reach = |step: &str, host: &str, port, protocol| Event::NetworkReached {
            job: "main".to_owned(),
            step: step.to_owned(),
            host: host.to_owned(),
            port,
            protocol,
        };
        let finished = Event::RunFinished {
            conclusion: Conclusion::Success,
            duration_ms: 1,
        };
        let mut out = Vec::new();
        for event in [
            reach("get", "deb.debian.org", 80, Protocol::Tcp),
            reach("get", "2001:db8::1", 443, Protocol::Udp),
            reach("ask", "example.org", 0, Protocol::Icmp),
            reach("get", "deb.debian.org", 80, Protocol::Tcp),
            finished.clone(),
        ] {
            sink.event(&event, &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let (_, told) = text.split_once("# job").unwrap();
        insta::assert_snapshot!(format!("# job{told}"), @r#"
        # job main, get
        network:
          allow:
            - "[2001:db8::1]:443"
            - "deb.debian.org:80"
        # job main, ask
        network:
          allow:
            - "example.org"
        "#);
        let mut out = Vec::new();
        let mut sink = Recorded::new(Json::default());
        sink.event(&finished, &mut out).unwrap();
        assert!(
            String::from_utf8(out)
                .unwrap()
                .ends_with("`network: none` will do\n")
        );
    }
}
