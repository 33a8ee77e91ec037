//! From a node to an instruction: how many words, which flags.

use super::flags::Flags;
use super::instruction::{Arg, CommandLine, FromStage, Instruction, Kind, Pair, Run, RunNetwork};
use super::node::{KEYWORDS, Node};
use super::place::Problem;
use super::{health, mount, transfer};

/// Reads what is not a `FROM`.
pub(super) fn instruction(mut node: Node, escape: char) -> Result<Instruction, Problem> {
    let keyword = node.keyword();
    refuse_nul(&node)?;
    let mut flags = Flags::new(keyword, std::mem::take(&mut node.flags));
    let kind = match keyword {
        "add" => Kind::Add(transfer::read(&node, &mut flags, true)?),
        "copy" => Kind::Copy(transfer::read(&node, &mut flags, false)?),
        "arg" => Kind::Arg(arguments(&node)?),
        "cmd" => Kind::Cmd(command(&node)),
        "entrypoint" => Kind::Entrypoint(command(&node)),
        "env" => Kind::Env(pairs(&node)?),
        "label" => Kind::Label(pairs(&node)?),
        "expose" => Kind::Expose(some(&node)?.to_vec()),
        "healthcheck" => Kind::Healthcheck(health::read(&node, &mut flags)?),
        "maintainer" => Kind::Maintainer(one(&node)?),
        "onbuild" => Kind::OnBuild(trigger(&node, escape)?),
        "run" => Kind::Run(run(&node, &mut flags)?),
        "shell" => Kind::Shell(shell(&node)?),
        "stopsignal" => Kind::StopSignal(one(&node)?),
        "user" => Kind::User(one(&node)?),
        "workdir" => Kind::Workdir(one(&node)?),
        "volume" => Kind::Volume(volumes(&node)?),
        _ => return Err(unknown(&node)),
    };
    flags.finish()?;
    Ok(Instruction {
        place: node.place,
        words_place: node.words_place,
        source: node.source,
        kind,
    })
}

/// Reads a `FROM`.
pub(super) fn from(mut node: Node) -> Result<FromStage, Problem> {
    refuse_nul(&node)?;
    let mut flags = Flags::new("from", std::mem::take(&mut node.flags));
    let (base, name) = match node.words.as_slice() {
        [base] => (base.clone(), None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => {
            let name = name.to_ascii_lowercase();
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) {
                let message = format!("`{name}` cannot be the name of a stage");
                let help = "it begins with a letter; letters, digits, `-`, `_` and `.` follow";
                return Err(Problem::new(node.words_place, message).help(help));
            }
            (base.clone(), Some(name))
        }
        _ => {
            let problem = Problem::new(node.words_place, "`FROM` takes an image, and a name");
            return Err(problem.help("FROM image [AS name]"));
        }
    };
    let platform = flags.value("platform")?;
    flags.finish()?;
    Ok(FromStage {
        place: node.place,
        words_place: node.words_place,
        source: node.source,
        base,
        name,
        platform,
    })
}

fn unknown(node: &Node) -> Problem {
    let shown: String = node.keyword.chars().take(40).collect();
    let problem = Problem::new(node.place, format!("there is no instruction `{shown}`"));
    let near = KEYWORDS.iter().find(|known| {
        let written = node.keyword.to_ascii_lowercase();
        is_near(&written, known)
    });
    match near {
        Some(known) => problem.help(format!("did you mean `{}`?", known.to_ascii_uppercase())),
        None => problem,
    }
}

/// One letter more, less, or another; or two that changed places.
fn is_near(written: &str, known: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (written.chars().collect(), known.chars().collect());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    let tail = |from_a: usize, from_b: usize| a.get(from_a..) == b.get(from_b..);
    let swapped = a.len() > 1 && b.len() > 1 && a[0] == b[1] && a[1] == b[0] && tail(2, 2);
    swapped || tail(1, 1) || tail(0, 1) || tail(1, 0)
}

fn refuse_nul(node: &Node) -> Result<(), Problem> {
    let texts = node
        .words
        .iter()
        .chain(node.heredocs.iter().map(|h| &h.name));
    let flags = node.flags.iter().map(|flag| &flag.text);
    if texts.chain(flags).any(|text| text.contains('\0')) {
        return Err(Problem::new(node.words_place, "there is a NUL in it"));
    }
    Ok(())
}

fn some(node: &Node) -> Result<&[String], Problem> {
    if node.words.is_empty() {
        let keyword = node.keyword.to_ascii_uppercase();
        return Err(Problem::new(
            node.place,
            format!("`{keyword}` says nothing: it needs at least one word"),
        ));
    }
    Ok(&node.words)
}

fn one(node: &Node) -> Result<String, Problem> {
    Ok(some(node)?[0].clone())
}

fn pairs(node: &Node) -> Result<Vec<Pair>, Problem> {
    let words = some(node)?;
    let pairs = words.chunks_exact(3).map(|pair| Pair {
        name: pair[0].clone(),
        value: pair[1].clone(),
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.iter().any(|pair| pair.name.is_empty()) {
        return Err(Problem::new(node.words_place, "a name is empty"));
    }
    Ok(pairs)
}

fn arguments(node: &Node) -> Result<Vec<Arg>, Problem> {
    let read = |word: &String| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (&**word, None),
        };
        if name.is_empty() {
            return Err(Problem::new(node.words_place, "a name is empty"));
        }
        Ok(Arg {
            name: name.to_owned(),
            default,
        })
    };
    some(node)?.iter().map(read).collect()
}

pub(super) fn command(node: &Node) -> CommandLine {
    CommandLine {
        args: node.words.clone(),
        is_shell: !node.is_json,
    }
}

fn shell(node: &Node) -> Result<Vec<String>, Problem> {
    if !node.is_json || node.words.is_empty() {
        let problem = Problem::new(node.words_place, "`SHELL` takes a list");
        return Err(problem.help(r#"SHELL ["/bin/bash", "-o", "pipefail", "-c"]"#));
    }
    Ok(node.words.clone())
}

fn volumes(node: &Node) -> Result<Vec<String>, Problem> {
    let words = some(node)?.iter().map(|word| word.trim().to_owned());
    let words: Vec<_> = words.collect();
    if words.iter().any(String::is_empty) {
        return Err(Problem::new(node.words_place, "a volume has no path"));
    }
    Ok(words)
}

fn run(node: &Node, flags: &mut Flags) -> Result<Run, Problem> {
    let mounts = flags.values("mount")?.into_iter();
    let scratch = mounts.map(|(value, place)| mount::read(&value, place));
    let scratch = scratch.collect::<Result<_, _>>()?;
    if let Some((value, place)) = flags.value("security")?
        && value != "sandbox"
    {
        let message = format!("`--security={value}` is not supported: steps are always confined");
        return Err(Problem::new(place, message));
    }
    let network = match flags.value("network")? {
        None => RunNetwork::Default,
        Some((value, place)) => match &*value {
            "default" => RunNetwork::Default,
            "none" => RunNetwork::None,
            "host" => RunNetwork::Host,
            _ => {
                let message = format!("there is no network `{value}`");
                return Err(Problem::new(place, message).help("default, none or host"));
            }
        },
    };
    some(node)?;
    let mut command = command(node);
    if let [heredoc] = node.heredocs.as_slice()
        && heredoc.descriptor == 0
        && command.args.len() == 1
        && super::heredoc::parse(&command.args[0]).is_ok_and(|found| found.is_some())
    {
        // Nothing but a heredoc: its text is the script, or a program with its own `#!`, as a shell says it.
        command.args = vec![script(&heredoc.name, &heredoc.text())];
    } else if !node.heredocs.is_empty() && command.is_shell {
        // The shell reads heredocs itself.
        let mut text = command.args.join(" ");
        for heredoc in &node.heredocs {
            text.push('\n');
            text.push_str(&heredoc.content);
            text.push_str(&heredoc.name);
        }
        text.push('\n');
        command.args = vec![text];
    }
    Ok(Run {
        command,
        network,
        scratch,
    })
}

/// A heredoc as a command: a text that begins with `#!` is a program.
fn script(name: &str, text: &str) -> String {
    if !text.starts_with("#!") {
        return text.to_owned();
    }
    let end = std::iter::once(name.to_owned())
        .chain((0..).map(|number| format!("{name}_{number}")))
        .find(|end| !text.lines().any(|line| line == end))
        .unwrap_or_default();
    let quoted = end.replace('\'', "'\\''");
    format!(
        "file=$(mktemp) && cat >\"$file\" <<'{quoted}' && chmod 0700 \"$file\" && \"$file\"; \
         status=$?; rm -f \"$file\"; exit $status\n{text}{end}\n"
    )
}

fn trigger(node: &Node, escape: char) -> Result<String, Problem> {
    let Some(child) = &node.child else {
        return Err(Problem::new(node.place, "`ONBUILD` takes an instruction"));
    };
    if ["from", "maintainer", "onbuild"].contains(&child.keyword()) {
        let message = format!(
            "`{}` cannot be a trigger",
            child.keyword.to_ascii_uppercase()
        );
        return Err(Problem::new(child.place, message));
    }
    let mut text = child.source.clone();
    for heredoc in &node.heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    // It is read now, so that a mistake is told here and not to whoever builds on the image.
    instruction((**child).clone(), escape)?;
    Ok(text)
}
