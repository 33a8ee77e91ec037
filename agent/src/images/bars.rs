//! A pull as a person at a terminal sees it: a line a layer, gone when the pull is over.
//!
//! ```text
//! 5f70bf18a086 [======>            ]  12.4 MiB / 34.0 MiB   8.1 MiB/s  2s
//! a3ed95caeb02 waiting for another pull
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use runtime::store::Progress;

use super::relay::warning;

/// Of a layer's name, digits that are shown.
const DIGITS: usize = 12;
const FETCHING: &str = "{prefix} [{bar:24}] {binary_bytes:>10} / {binary_total_bytes:10} {binary_bytes_per_sec:>12}  {eta}";
const TOLD: &str = "{prefix} {msg}";

/// Lines of layers on standard error.
pub(crate) struct Bars<'a> {
    image: &'a str,
    all: MultiProgress,
    layers: Mutex<HashMap<String, ProgressBar>>,
}

impl<'a> Bars<'a> {
    pub(crate) fn new(image: &'a str) -> Self {
        Self {
            image,
            all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            layers: Mutex::default(),
        }
    }

    pub(crate) fn show(&self, news: Progress<'_>) {
        match news {
            Progress::Fetching { layer, done, total } => {
                let bar = self.bar(layer);
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    bar.set_style(style(FETCHING));
                }
                bar.set_position(done);
            }
            Progress::Waiting { layer } => self.tell(layer, "waiting for another pull"),
            Progress::Unpacked { layer, entries, .. } => {
                self.tell(layer, &format!("unpacked, {entries} files"));
            }
            news => {
                if let Some(text) = warning(self.image, &news) {
                    // Above the lines, which are drawn anew.
                    let _ = self.all.println(format!("warning: {text}"));
                }
            }
        }
    }

    /// Leaves nothing behind.
    pub(crate) fn clear(&self) {
        let _ = self.all.clear();
    }

    fn tell(&self, layer: &str, text: &str) {
        let bar = self.bar(layer);
        bar.set_style(style(TOLD));
        bar.set_message(text.to_owned());
        bar.tick();
    }

    fn bar(&self, layer: &str) -> ProgressBar {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = layers.entry(layer.to_owned());
        let new = || {
            let name = layer.strip_prefix("file-").unwrap_or(layer);
            let shown: String = name.chars().take(DIGITS).collect();
            let bar = self.all.add(ProgressBar::no_length());
            bar.with_prefix(shown)
        };
        known.or_insert_with(new).clone()
    }
}

impl Drop for Bars<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // Ours are right, which a test shows.
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_understood() {
        for template in [FETCHING, TOLD] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
