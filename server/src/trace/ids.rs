//! Ids of traces and spans: derived from what they are of.

use std::fmt::Display;

use protocol::service::PipelineId;
use sha2::{Digest as _, Sha256};

/// The trace of a pipeline, from which its spans' ids follow.
#[derive(Debug, Clone)]
pub(super) struct TraceId([u8; 16]);

impl TraceId {
    /// Of a pipeline of this installation.
    pub(super) fn of(installation: &str, pipeline: PipelineId) -> Self {
        Self(first(&format!("slipway trace {installation} {pipeline}")))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// The span of something in the pipeline.
    pub(super) fn span(&self, what: impl Display) -> Vec<u8> {
        let trace = u128::from_be_bytes(self.0);
        first::<8>(&format!("slipway span {trace:032x} {what}")).to_vec()
    }
}

/// The first bytes of a digest; never all zero, which is no id (W3C Trace Context, 3.2.2).
fn first<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (byte, of) in bytes.iter_mut().zip(Sha256::digest(text)) {
        *byte = of;
    }
    if bytes.iter().all(|byte| *byte == 0) {
        bytes[N - 1] = 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_the_same_and_differ_for_others() {
        let of = |installation, pipeline| TraceId::of(installation, PipelineId(pipeline));
        assert_eq!(of("a", 1).bytes(), of("a", 1).bytes());
        assert_ne!(of("a", 1).bytes(), of("b", 1).bytes());
        assert_ne!(of("a", 1).bytes(), of("a", 2).bytes());
        assert_eq!(of("a", 1).span("job 3"), of("a", 1).span("job 3"));
        assert_ne!(of("a", 1).span("job 3"), of("a", 2).span("job 3"));
        assert_eq!(of("a", 1).span("job 3").len(), 8);
    }
}
