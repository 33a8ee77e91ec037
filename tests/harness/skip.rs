use std::fmt;

/// Why a test cannot run on this machine, in a few words and with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Says loudly that the calling test is not run; a failure where nothing may be skipped.
///
/// # Panics
/// When `SLIPWAY_TEST_SKIP_NOTHING` is set.
#[expect(
    clippy::print_stderr,
    reason = "a skipped test must not look like one that passed"
)]
pub fn skip(why: &Skip) {
    assert!(
        std::env::var_os("SLIPWAY_TEST_SKIP_NOTHING").is_none(),
        "nothing may be skipped here, but: {why}"
    );
    eprintln!("skipped: {why}");
}
