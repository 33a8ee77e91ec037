//! How long the worst inputs of 1 MiB take: compiled, rendered, and against the YAML parser alone, which has read the same
//! bytes right before. `cargo bench -p pipelines --bench worst_inputs`.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../tests/common/worst.rs"]
mod worst;

use std::time::{Duration, Instant};

use pipelines::{Overrides, Source, compile, render};

fn main() {
    println!(
        "{:<40} {:>9} {:>9} {:>9} {:>7}  answer",
        "1 MiB of", "YAML ms", "ours ms", "shown ms", "ratio"
    );
    let mut slowest = (Duration::ZERO, "");
    for (name, text) in worst::worst_inputs(1024 * 1024) {
        let started = Instant::now();
        let events = saphyr_parser::Parser::new_from_str(&text)
            .map_while(Result::ok)
            .count();
        let parsed = started.elapsed();
        let source = Source::new("f.yml", text);
        let started = Instant::now();
        let compilation = compile(&source, &Overrides::default());
        let compiled = started.elapsed();
        let started = Instant::now();
        let _ = render::human(&source, &compilation.diagnostics, false);
        let shown = started.elapsed();
        let answer = compilation.diagnostics.first();
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        println!(
            "{name:<40} {:>9.1} {:>9.1} {:>9.1} {:>7.1}  {} ({events} events)",
            ms(parsed),
            ms(compiled),
            ms(shown),
            compiled.as_secs_f64() / parsed.as_secs_f64(),
            answer.map_or("a plan", |diagnostic| diagnostic.code.as_str()),
        );
        slowest = slowest.max((compiled + shown, name));
    }
    println!("slowest: {} with {:.0?}", slowest.1, slowest.0);
}
