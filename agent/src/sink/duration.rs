//! Durations as people read them.

/// `7ms`, `1.2s`, `2m05s`, `1h02m05s`.
#[must_use]
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}.{}s", milliseconds % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!(
            "{}h{:02}m{:02}s",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_have_the_precision_that_matters() {
        let shown: Vec<String> = [0, 999, 1000, 59_999, 60_000, 3_725_000]
            .map(duration)
            .into();
        assert_eq!(
            shown,
            ["0ms", "999ms", "1.0s", "59.9s", "1m00s", "1h02m05s"]
        );
    }
}
