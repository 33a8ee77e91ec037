//! Texts that are as expensive as a file of their size can be.

/// A job with a matrix of so many cells, and more lines below `matrix`.
fn matrix(cells: usize, lines: &str) -> String {
    let values: Vec<String> = (0..cells).map(|n| n.to_string()).collect();
    format!(
        "image: host\njobs:\n  a:\n    steps: [{{ run: x }}]\n    matrix:\n      n: [{}]\n{lines}",
        values.join(",")
    )
}

/// Inputs of a size that ask for the most work somebody could think of.
pub(crate) fn worst_inputs(size: usize) -> Vec<(&'static str, String)> {
    let fill = |head: &str, unit: &dyn Fn(usize) -> String| {
        let mut text = String::from(head);
        for number in 0.. {
            let unit = unit(number);
            if text.len() + unit.len() + 16 > size {
                break;
            }
            text.push_str(&unit);
        }
        text
    };
    let repeat = |unit: &str| unit.repeat(size / unit.len());
    vec![
        ("block nesting", repeat("- ")),
        ("flow nesting", repeat("[")),
        ("flow mapping nesting", repeat("{a: ")),
        (
            "flow items on one line",
            format!("a: [{}]", repeat("x,").split_at(size - 16).0),
        ),
        (
            "flow pairs on one line",
            format!("{}}}", fill("{", &|n| format!("k{n}: v,"))),
        ),
        ("unknown keys", fill("", &|n| format!("k{n}: v\n"))),
        (
            "unknown keys near known ones",
            fill("", &|n| format!("timeou{n}: v\n")),
        ),
        ("the same key", repeat("key: v\n")),
        (
            "env",
            fill("image: host\nenv:\n", &|n| format!("  K{n}: v\n")) + "steps: [{ run: x }]",
        ),
        (
            "steps",
            fill("image: host\nsteps:\n", &|_| "- run: x\n".to_owned()),
        ),
        (
            "bad steps",
            fill("image: host\nsteps:\n", &|_| "- x\n".to_owned()),
        ),
        (
            "jobs",
            fill("image: host\njobs:\n", &|n| {
                format!("  j{n}: {{ steps: [{{ run: x }}] }}\n")
            }),
        ),
        (
            "missing needs",
            fill("image: host\njobs:\n", &|n| {
                format!(
                    "  job-with-a-long-name-number-{n}: {{ needs: [job-with-a-lonk-name-numbre-{}], steps: [{{ run: x }}] }}\n",
                    n * 7919
                )
            }),
        ),
        (
            "outputs that a needed job has not",
            fill(
                &format!(
                    "image: host\njobs:\n  a:\n    outputs:\n{}    steps: [{{ run: x }}]\n  b:\n    needs: [a]\n    steps: [{{ run: y }}]\n    env:\n",
                    (0..20_000)
                        .map(|n| format!("      k{n:06}: v\n"))
                        .collect::<String>()
                ),
                &|n| format!("      E{n}: '${{{{ needs.a.outputs.k{n:06}x }}}}'\n"),
            ),
        ),
        (
            "dense needs",
            fill("image: host\njobs:\n", &|n| {
                let needs: Vec<String> = (0..500).map(|m| format!("j{}", (n + m) % 1000)).collect();
                format!(
                    "  j{n}: {{ needs: [{}], steps: [{{ run: x }}] }}\n",
                    needs.join(",")
                )
            }),
        ),
        (
            "one ring of jobs",
            fill("image: host\njobs:\n", &|n| {
                format!(
                    "  j{n}: {{ needs: [j{}], steps: [{{ run: x }}] }}\n",
                    (n + 1) % 1024
                )
            }),
        ),
        ("anchors", fill("", &|n| format!("- &a{n} x\n"))),
        (
            "aliases of a long text",
            fill(&format!("a: &a {}\nb:\n", "x".repeat(size / 2)), &|_| {
                "- *a\n".to_owned()
            }),
        ),
        (
            "env by alias in every step",
            fill(
                &format!(
                    "image: host\nenv: &e {{ A: {} }}\nsteps:\n",
                    "x".repeat(1_000)
                ),
                &|_| "- { run: x, env: *e }\n".to_owned(),
            ),
        ),
        (
            "merges of merges",
            fill("a0: &a0 { k: v }\n", &|n| {
                format!("a{}: &a{} {{ <<: *a{n}, k{n}: v }}\n", n + 1, n + 1)
            }),
        ),
        (
            "one long plain scalar",
            format!("a: {}", repeat("x").split_at(size - 16).0),
        ),
        (
            "a scalar over many lines",
            fill("a: x\n", &|_| " y\n".to_owned()),
        ),
        (
            "a quoted scalar over many lines",
            fill("a: \"x\n", &|_| " y\n".to_owned()),
        ),
        (
            "escapes",
            format!("a: \"{}\"", repeat("\\u00e9").split_at(size - 16).0),
        ),
        (
            "a block scalar of empty lines",
            format!("a: |\n{}", repeat("\n").split_at(size - 16).0),
        ),
        ("comments", repeat("#\n")),
        ("spaces", repeat(" ")),
        ("line breaks", repeat("\n")),
        ("directives", repeat("%A\n")),
        ("documents", repeat("---\n")),
        ("tags", fill("", &|_| "- !x y\n".to_owned())),
        ("tabs", repeat("\t")),
        ("open quotes", repeat("\"a")),
        ("colons", repeat(":")),
        ("question marks", repeat("? ")),
        (
            "wide characters",
            repeat("漢").chars().take(size / 3).collect(),
        ),
        (
            "mistakes on one line",
            format!(
                "image: host\nsteps: [{}]",
                fill("", &|_| "{rum: x},".to_owned())
                    .split_at(size - 64)
                    .0
                    .trim_end_matches(|c| c != ',')
            ),
        ),
        ("control characters", repeat("\u{1}")),
        (
            "a matrix beyond every limit",
            format!(
                "image: host\njobs:\n  a:\n    matrix:\n{}    steps: [{{ run: x }}]\n",
                fill("", &|n| format!("      a{n}: [1, 2, 3, 4, 5, 6, 7, 8]\n"))
                    .get(..size - 128)
                    .map_or("", |text| text.rsplit_once('\n').map_or("", |(text, _)| text))
                    .to_owned()
                    + "\n"
            ),
        ),
        (
            "values of one axis",
            format!(
                "image: host\njobs:\n  a:\n    steps: [{{ run: x }}]\n    matrix:\n      a:\n{}",
                fill("", &|n| format!("        - v{n}\n"))
            )
            .chars()
            .take(size)
            .collect(),
        ),
        (
            "excludes and includes",
            fill(
                "image: host\njobs:\n  a:\n    steps: [{ run: x }]\n    matrix:\n      a: [1, 2]\n      b: [1, 2]\n      exclude:\n",
                &|n| format!("        - {{ a: {n}, b: 1 }}\n"),
            ),
        ),
        (
            "cells that need cells",
            format!(
                "image: host\njobs:\n{}",
                ["a", "b", "c", "d"]
                    .iter()
                    .enumerate()
                    .map(|(at, job)| {
                        let axis: Vec<String> = (0..256).map(|n| n.to_string()).collect();
                        let needs = ["", "a", "a, b", "a, b, c"][at];
                        format!(
                            "  {job}:\n    needs: [{needs}]\n    if: needs.size() > 0 || always()\n    matrix: {{ n: [{}] }}\n    steps: [{{ run: x }}]\n",
                            axis.join(",")
                        )
                    })
                    .collect::<String>()
            ),
        ),
        (
            "values that are included in every cell",
            fill(&matrix(1_000, "      include:\n"), &|n| format!("        - {{ x{n}: {n} }}\n")),
        ),
        (
            "one long value in every cell",
            matrix(
                1_000,
                &format!("      long: [{}]\n", "x".repeat(size.saturating_sub(8_192))),
            ),
        ),
        (
            "a wide entry in every cell",
            matrix(1_000, &fill("      include: [{", &|n| format!("y{n}: 1,"))) + "}]\n",
        ),
        (
            "comparisons of cells",
            fill(
                &matrix(
                    1_000,
                    &format!(
                        "{}      exclude:\n",
                        (0..50).map(|n| format!("      a{n}: [1]\n")).collect::<String>()
                    ),
                ),
                &|_| {
                    let axes = (0..50).map(|n| format!("a{n}: 1, "));
                    format!("        - {{ {}n: -1 }}\n", axes.collect::<String>())
                },
            ),
        ),
        (
            "secrets in every step",
            fill("image: host\njobs:\n  a:\n    secrets: [", &|n| {
                format!("S{n},")
            }) + "]\n    steps:\n"
                + &"      - run: x\n".repeat(1_000),
        ),
        (
            "causes to retry in every step",
            fill("image: host\nretry: { max: 1, on: [", &|_| "1,".to_owned())
                + "] }\nsteps:\n"
                + &"  - run: x\n".repeat(1_000),
        ),
        (
            "outputs of every cell",
            fill(&(matrix(1_000, "") + "    outputs:\n"), &|n| {
                format!("      o{n}: '${{{{ matrix.n }}}}'\n")
            }),
        ),
        (
            "long ids of cells that need cells",
            ["a", "b"]
                .map(|job| {
                    let axes: String = (0..60)
                        .map(|n| format!("      a{n}: [{}]\n", "x".repeat(40)))
                        .collect();
                    let needs = if job == "b" { "    needs: [a]\n" } else { "" };
                    let matrix = matrix(500, &axes).replace("  a:\n", &format!("  {job}:\n{needs}"));
                    match job {
                        "a" => matrix,
                        _ => matrix.replace("image: host\njobs:\n", ""),
                    }
                })
                .concat(),
        ),
        (
            "references behind dense needs",
            {
                let steps = (0..1_000).map(|n: usize| {
                    let needs: Vec<String> = (n.saturating_sub(100)..n)
                        .map(|need| format!("s{need}"))
                        .collect();
                    let reads = "${{steps.s0.conclusion}}".repeat(16);
                    let needs = needs.join(",");
                    format!("  - {{ name: s{n}, needs: [{needs}], run: 'x {}' }}\n", if n > 0 { &reads } else { "" })
                });
                let mut text = "image: host\nsteps:\n".to_owned();
                for step in steps {
                    if text.len() + step.len() > size {
                        break;
                    }
                    text.push_str(&step);
                }
                text
            },
        ),
        (
            "members of members",
            fill("image: host\nsteps:\n", &|_| {
                format!("  - {{ run: x, if: 'env{}' }}\n", ".a".repeat(1_900))
            }),
        ),
        (
            "expressions in one text",
            fill("image: host\nsteps:\n  - run: |\n      ", &|_| {
                "${{ branch }}".to_owned()
            }),
        ),
        (
            "expressions that open and never close",
            fill("image: host\nsteps:\n  - run: |\n      ", &|_| "${{ ".to_owned()),
        ),
        (
            "deep expressions",
            fill("image: host\nsteps:\n", &|_| {
                format!("  - {{ run: x, if: '{}1{} == 1' }}\n", "(".repeat(200), ")".repeat(200))
            }),
        ),
        (
            "conditions on every step",
            fill("image: host\nsteps:\n", &|n| {
                format!("  - {{ run: x, if: branch.startsWith(\"b{n}\") && event == \"push\" }}\n")
            }),
        ),
        (
            "globs with many stars",
            fill("on: { push: { branches: [", &|_| {
                format!("\"{}\",", "*a".repeat(100))
            }) + "] } }\nimage: host\nsteps: [{ run: x }]\n",
        ),
        (
            "regular expressions",
            fill("image: host\nsteps:\n", &|_| {
                format!("  - {{ run: x, if: 'branch.matches(\"{}\")' }}\n", "(a|b)*".repeat(30))
            }),
        ),
        (
            "includes",
            fill("image: host\nsteps: [{ run: x }]\ninclude:\n", &|n| {
                format!("  - {{ path: f{n} }}\n")
            }),
        ),
    ]
}
