//! `include`: files of the tree, and of pinned commits of other repositories.

use super::{
    keys::{Keys, Put, Rule, key},
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic, Inclusion,
    diagnostic::{Diagnostics, quoted},
    limits,
    syntax::Spanned,
    yaml::{Node, Value},
};

/// What `git fetch` takes and a pipeline may say. Nothing that would run a command, such as `ext::`.
const SCHEMES: [&str; 5] = ["https://", "ssh://", "http://", "git://", "file://"];

/// The key's place among the others; [`includes`] has read it before anything else.
pub(super) const INCLUDES: Type<()> = Type {
    words: "list of [files](#include)",
    shape: Shape::List {
        of: &Shape::Keys(&KEYS),
        least: 0,
        most: Some(limits::INCLUDES),
    },
    read: |_, _| {},
};

/// What is read of an entry. A value that is wrong, which is an error, is an empty one.
#[derive(Debug, Default)]
struct Draft {
    path: Option<String>,
    url: Option<String>,
    commit: Option<String>,
}

static KEYS: Keys<Draft> = Keys {
    name: "include",
    what: "an entry of `include`",
    keys: &[
        key(
            "path",
            &Put(&PATH, |draft: &mut Draft, path| draft.path = Some(path)),
        )
        .means("A file, from the root of the tree and never out of it, symbolic links included.")
        .example("path: ci/defaults.yml")
        .required(),
        key(
            "git",
            &Put(&URL, |draft: &mut Draft, url| draft.url = Some(url)),
        )
        .default("this tree")
        .means(
            "The repository that has the file. Without credentials: git's own helpers are asked.",
        )
        .example("git: https://example.org/ci.git"),
        key(
            "ref",
            &Put(&COMMIT, |draft: &mut Draft, commit| {
                draft.commit = Some(commit)
            }),
        )
        .means("The commit's whole name. A branch or a tag is refused, because it can be moved.")
        .example("ref: 0123456789abcdef0123456789abcdef01234567"),
    ],
    rules: &[Rule::Together(&["git", "ref"])],
    others: None,
    frame: "\
include:
  - KEY
    path: ci/defaults.yml # else
    git: https://example.org/ci.git # only ref
    ref: 0123456789abcdef0123456789abcdef01234567 # only git
image: host
steps: [{ run: 'true' }]
",
};

const PATH: Type<String> = Type {
    words: "path",
    shape: Shape::LiteralLike(
        r"^(?!/)(?!(.*/)?\.\.(/|$))[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f/]$",
    ),
    read: |field, diagnostics| checked(field, path, diagnostics),
};

const URL: Type<String> = Type {
    words: "URL",
    shape: Shape::StringLike(r"^(https|ssh|http|git|file)://[^\s\x00-\x1f\x7f-\x9f]+$"),
    read: |field, diagnostics| checked(field, url, diagnostics),
};

const COMMIT: Type<String> = Type {
    words: "commit",
    shape: Shape::LiteralLike("^([0-9a-f]{40}|[0-9a-f]{64})$"),
    read: |field, diagnostics| checked(field, commit, diagnostics),
};

/// What a file includes, each once, in the order of the file; `None` when it has no such key. `from` is how the file
/// itself was included.
pub(crate) fn includes(
    root: &Node,
    from: Option<&Inclusion>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Spanned<Inclusion>>> {
    let Value::Mapping(entries) = &root.value else {
        return None;
    };
    let entry = entries.iter().find(|entry| &*entry.key.text == "include")?;
    let field = Field::of(entry);
    let Some(items) = field.items() else {
        diagnostics.push(
            field
                .wrong_type("a list of files")
                .help("write a list: `[{ path: ci/defaults.yml }]`"),
        );
        return Some(Vec::new());
    };
    if let Some(item) = items.get(limits::INCLUDES) {
        let message = format!(
            "{} files are more than the {} that a pipeline may include",
            items.len(),
            limits::INCLUDES
        );
        diagnostics.push(Diagnostic::new(Code::TooComplex, item.span, message));
    }
    let mut includes: Vec<Spanned<Inclusion>> = Vec::new();
    for item in items.iter().take(limits::INCLUDES) {
        if let Some(inclusion) = inclusion(field.item(item), from, diagnostics)
            && !includes.iter().any(|earlier| earlier.value == inclusion)
        {
            includes.push(Spanned::new(inclusion, item.span));
        }
    }
    Some(includes)
}

fn inclusion(
    field: Field<'_>,
    from: Option<&Inclusion>,
    diagnostics: &mut Diagnostics,
) -> Option<Inclusion> {
    if !matches!(field.node.value, Value::Mapping(_)) {
        let diagnostic = field.wrong_type("a list of mappings");
        diagnostics.push(diagnostic.help("write `{ path: ci/defaults.yml }`"));
        return None;
    }
    let mut draft = Draft::default();
    KEYS.read(&mut draft, field, diagnostics)?;
    match (&draft.url, &draft.commit) {
        (Some(_), None) => {
            let example = "ref: 1f0a… (the commit's whole name)";
            field.lacks("ref", example, diagnostics);
        }
        (None, Some(_)) => field.lacks("git", "git: https://example.org/ci.git", diagnostics),
        _ => {}
    }
    let known = |text: Option<String>| text.filter(|text| !text.is_empty());
    let path = known(draft.path)?;
    match (draft.url, draft.commit) {
        (None, None) => Some(match from {
            Some(from) => from.sibling(path),
            None => Inclusion::Path(path),
        }),
        (url, commit) => Some(Inclusion::Git {
            url: known(url)?,
            commit: known(commit)?,
            path,
        }),
    }
}

/// What a check makes of the text; empty, with an error, when it is no such thing.
fn checked(field: Field<'_>, check: Check, diagnostics: &mut Diagnostics) -> String {
    let Some(text) = field.literal(diagnostics) else {
        return String::new();
    };
    check(&text.value).unwrap_or_else(|(problem, help)| {
        let message = format!("{} {problem}", quoted(&text.value));
        let diagnostic = Diagnostic::new(Code::BadInclude, field.span, message);
        diagnostics.push(diagnostic.help(help));
        String::new()
    })
}

/// What is wrong, as words behind the value, and what to do.
type Problem = (&'static str, &'static str);

/// Makes a value of what is written.
type Check = fn(&str) -> Result<String, Problem>;

/// A path below the root of a tree, without its detours.
fn path(text: &str) -> Result<String, Problem> {
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.is_empty() || text.ends_with('/') {
        Err(("names no file", "write a path such as `ci/defaults.yml`"))
    } else if text.starts_with('/') || parts.contains(&"..") {
        Err((
            "leads out of the tree",
            "write the path from the root of the tree, without `..`",
        ))
    } else if text.chars().any(char::is_control) {
        Err(("contains control characters", "rename the file"))
    } else {
        Ok(parts.join("/"))
    }
}

fn url(text: &str) -> Result<String, Problem> {
    let help = "write a URL such as `https://example.org/ci.git`";
    if text
        .chars()
        .any(|character| character.is_control() || character.is_whitespace())
    {
        return Err(("contains white space", help));
    }
    let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return Err(("is not the URL of a git repository", help));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') || !text.starts_with("ssh://") => Err((
            "holds credentials",
            "remove them: git's own credential helpers are asked",
        )),
        _ if rest.is_empty() => Err(("is not the URL of a git repository", help)),
        _ => Ok(text.to_owned()),
    }
}

fn commit(text: &str) -> Result<String, Problem> {
    let is_name = matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_name {
        return Ok(text.to_owned());
    }
    Err((
        "is not a commit's whole name",
        "pin it: a branch or a tag can be moved; `git rev-parse REF` tells the name",
    ))
}
