//! `cache`, `artifacts` and `reports`.

use std::collections::HashSet;
use std::time::Duration;

use super::{
    duration::DURATION,
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    shared::texts,
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    glob::Glob,
    limits,
    plan::{Artifact, Cache, CachePath, Reports, When, is_artifact_name, is_cache_key},
    syntax::Text,
};

pub(super) const CACHES: Type<Vec<Cache<Text>>> = Type {
    words: "list of [caches](#cache)",
    shape: Shape::List {
        of: &Shape::Keys(&CACHE),
        least: 0,
        most: Some(limits::CACHES),
    },
    read: caches,
};

pub(super) const ARTIFACTS: Type<Vec<Artifact<Text>>> = Type {
    words: "list of [artifacts](#artifact)",
    shape: Shape::List {
        of: &Shape::Keys(&ARTIFACT),
        least: 0,
        most: Some(limits::ARTIFACTS),
    },
    read: artifacts,
};

/// The name of an artifact.
const ARTIFACT_NAME: Type<Option<Text>> = Type {
    words: "string",
    shape: Shape::TextLike(r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"),
    read: |field, diagnostics| {
        let name = field.template(diagnostics)?;
        if let Some(text) = name.template.as_literal()
            && !is_artifact_name(text)
        {
            let message = format!("{} cannot be the name of an artifact", quoted(text));
            diagnostics.push(
                Diagnostic::new(Code::BadName, field.span, message)
                    .help("a name has at most 64 letters, digits, `_`, `-` and `.`, no `.` first"),
            );
        }
        Some(name)
    },
};

/// Paths and patterns of an artifact.
const ARTIFACT_PATHS: Type<Vec<Text>> =
    texts("list of [patterns](#patterns)", |field, diagnostics| {
        let paths = field.templates("a list of paths", diagnostics);
        for path in &paths {
            if let Some(Err(mistake)) = path.template.as_literal().map(Glob::parse) {
                diagnostics.push_mistakes(Code::BadGlob, path.scalar(), [mistake]);
            }
        }
        paths
    });

/// Patterns by format.
pub(super) const REPORTS: Type<Reports<Text>> = Type {
    words: "[reports](#reports)",
    shape: Shape::Keys(&FORMATS),
    read: |field, diagnostics| {
        let mut reports = Reports::new();
        FORMATS.read(&mut reports, field, diagnostics);
        reports
    },
};

/// What a key is, as far as a pattern can say it.
const LIKE_KEY: Shape = Shape::TextLike(
    r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,510}[^\s\x00-\x1f\x7f-\x9f])?$",
);

/// The key of a cache.
const CACHE_KEY: Type<Option<Text>> = Type {
    words: "string",
    shape: LIKE_KEY,
    read: |field, diagnostics| {
        let key = field.template(diagnostics)?;
        check_key(&key, diagnostics);
        Some(key)
    },
};

/// Says what is wrong with a key that is known already.
fn check_key(key: &Text, diagnostics: &mut Diagnostics) {
    if let Some(text) = key.template.as_literal()
        && !is_cache_key(text)
    {
        let message = format!("{} cannot be the key of a cache", quoted(text));
        diagnostics.push(Diagnostic::new(Code::BadCache, key.span, message).help(
            "a key has 1 to 512 characters, no control characters, and no white space around it",
        ));
    }
}

/// Paths of a cache.
const PATHS: Type<Vec<Text>> = Type {
    words: "list of paths",
    shape: Shape::List {
        of: &Shape::TextLike(r"^[^\x00-\x1f\x7f-\x9f]+$"),
        least: 1,
        most: Some(limits::CACHE_ENTRIES),
    },
    read: |field, diagnostics| {
        let paths = field.templates("a list of paths", diagnostics);
        for path in &paths {
            if let Some(Err(error)) = path.template.as_literal().map(CachePath::parse) {
                let text = path.template.as_literal().unwrap_or_default();
                let message = format!("{} cannot be kept: {error}", quoted(text));
                diagnostics.push(Diagnostic::new(Code::BadCache, path.span, message));
            }
        }
        few(&paths, "paths", field, diagnostics);
        paths
    },
};

/// Each is looked at again and again.
fn few(all: &[Text], what: &str, field: Field<'_>, diagnostics: &mut Diagnostics) {
    if all.len() > limits::CACHE_ENTRIES {
        let message = format!("a cache has at most {} {what}", limits::CACHE_ENTRIES);
        diagnostics.push(Diagnostic::new(Code::TooComplex, field.span, message));
    }
}

fn items<T>(
    field: Field<'_>,
    what: &str,
    diagnostics: &mut Diagnostics,
    read: impl Fn(Field<'_>, &mut Diagnostics) -> Option<T>,
) -> Vec<T> {
    let Some(items) = field.items() else {
        diagnostics.push(field.wrong_type(what).help("start each one with `- `"));
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| read(field.item(item), diagnostics))
        .collect()
}

#[derive(Debug, Default)]
struct CacheDraft {
    key: Option<Text>,
    fallback: Vec<Text>,
    paths: Vec<Text>,
}

static CACHE: Keys<CacheDraft> = Keys {
    name: "cache",
    what: "a cache",
    keys: &[
        key("key", &Put(&CACHE_KEY, |cache: &mut CacheDraft, key| cache.key = key))
            .means("Under which name it is kept.")
            .example("key: deps-1")
            .required(),
        key("fallback", &Put(&PREFIXES, |cache: &mut CacheDraft, fallback| cache.fallback = fallback))
            .default("none")
            .means("Beginnings of other keys to start from when there is none of this name, best first.")
            .example("fallback: [deps-]"),
        key("paths", &Put(&PATHS, |cache: &mut CacheDraft, paths| cache.paths = paths))
            .means("What is kept: paths in the workspace, absolute ones, or ones in the home directory (`~/`).")
            .example("paths: [target]")
            .required(),
    ],
    rules: &[],
    others: None,
    frame: "\
image: host
jobs:
  test:
    cache:
      - KEY
        key: deps-1 # else
        paths: [target] # else
    steps: [{ run: 'true' }]
",
};

const PREFIXES: Type<Vec<Text>> = Type {
    words: "list of strings",
    shape: Shape::List {
        of: &LIKE_KEY,
        least: 0,
        most: Some(limits::CACHE_ENTRIES),
    },
    read: |field, diagnostics| {
        let prefixes = field.templates("a list of prefixes", diagnostics);
        for prefix in &prefixes {
            check_key(prefix, diagnostics);
        }
        few(&prefixes, "keys to start from", field, diagnostics);
        prefixes
    },
};

fn caches(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Cache<Text>> {
    let caches = items(field, "a list of caches", diagnostics, cache);
    if caches.len() > limits::CACHES {
        let message = format!("a job has at most {} caches", limits::CACHES);
        diagnostics.push(Diagnostic::new(Code::TooComplex, field.span, message));
    }
    caches
}

fn cache(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Cache<Text>> {
    let mut draft = CacheDraft::default();
    CACHE.read(&mut draft, field, diagnostics)?;
    if draft.paths.is_empty() && draft.key.is_some() {
        let message = "a cache without paths keeps nothing";
        diagnostics.push(Diagnostic::new(Code::BadCache, field.span, message));
    }
    Some(Cache {
        key: draft.key?,
        fallback: draft.fallback,
        paths: draft.paths,
    })
}

#[derive(Debug, Default)]
struct ArtifactDraft {
    name: Option<Text>,
    paths: Vec<Text>,
    when: When,
    expire: Option<Duration>,
}

static ARTIFACT: Keys<ArtifactDraft> = Keys {
    name: "artifact",
    what: "an artifact",
    keys: &[
        key(
            "name",
            &Put(&ARTIFACT_NAME, |artifact: &mut ArtifactDraft, name| {
                artifact.name = name
            }),
        )
        .means("What it is called: letters, digits, `_`, `.` and `-`. No two of a job have the same.")
        .example("name: binary")
        .required(),
        key(
            "paths",
            &Put(&ARTIFACT_PATHS, |artifact: &mut ArtifactDraft, paths| {
                artifact.paths = paths
            }),
        )
        .means("Which files of the workspace: those that a pattern matches, and all below directories that one matches.")
        .example("paths: [target/app]")
        .required(),
        key(
            "when",
            &Put(&WHEN, |artifact: &mut ArtifactDraft, when| {
                artifact.when = when
            }),
        )
        .default("`success`")
        .means("After which ends of the job it is kept: `success`, `failure` or `always`.")
        .example("when: always"),
        key(
            "expire",
            &Put(&DURATION, |artifact: &mut ArtifactDraft, expire| {
                artifact.expire = expire
            }),
        )
        .default("the server's")
        .means("How long it is kept.")
        .example("expire: 30d"),
    ],
    rules: &[],
    others: None,
    frame: "\
image: host
jobs:
  test:
    artifacts:
      - KEY
        name: binary # else
        paths: [target/app] # else
    steps: [{ run: 'true' }]
",
};

fn artifacts(field: Field<'_>, diagnostics: &mut Diagnostics) -> Vec<Artifact<Text>> {
    let artifacts = items(field, "a list of artifacts", diagnostics, artifact);
    if artifacts.len() > limits::ARTIFACTS {
        let message = format!("a job has at most {} artifacts", limits::ARTIFACTS);
        diagnostics.push(Diagnostic::new(Code::TooComplex, field.span, message));
    }
    let mut names = HashSet::new();
    for artifact in &artifacts {
        if let Some(name) = artifact.name.template.as_literal()
            && !names.insert(name)
        {
            let message = format!("two artifacts of the job are called {}", quoted(name));
            diagnostics.push(Diagnostic::new(Code::BadName, artifact.name.span, message));
        }
    }
    artifacts
}

fn artifact(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<Artifact<Text>> {
    let mut draft = ArtifactDraft::default();
    ARTIFACT.read(&mut draft, field, diagnostics)?;
    Some(Artifact {
        name: draft.name?,
        paths: draft.paths,
        when: draft.when,
        expire: draft.expire,
    })
}

const WHEN: Type<When> = Type {
    words: "string",
    shape: Shape::Word(&["success", "failure", "always"]),
    read: when,
};

fn when(field: Field<'_>, diagnostics: &mut Diagnostics) -> When {
    let Some(text) = field.literal(diagnostics) else {
        return When::default();
    };
    match &*text.value {
        "success" => When::Success,
        "failure" => When::Failure,
        "always" => When::Always,
        other => {
            let message = format!("{} is no end of a job", quoted(other));
            diagnostics.push(
                Diagnostic::new(Code::WrongType, field.span, message)
                    .help("write `success`, `failure` or `always`"),
            );
            When::default()
        }
    }
}

static FORMATS: Keys<Reports<Text>> = Keys {
    name: "reports",
    what: "`reports`",
    keys: &[key(
        "junit",
        &Put(&PATTERNS, |reports: &mut Reports<Text>, patterns| {
            reports.insert("junit".to_owned(), patterns);
        }),
    )
    .default("none")
    .means("Files in JUnit's format.")
    .example("junit: \"**/junit*.xml\"")],
    rules: &[],
    others: None,
    frame: "\
image: host
jobs:
  test:
    reports:
      KEY
    steps: [{ run: 'true' }]
",
};

const PATTERNS: Type<Vec<Text>> = Type {
    words: "pattern or list of patterns",
    shape: Shape::Either(&[Shape::Text, Shape::list(&Shape::Text)]),
    read: |field, diagnostics| {
        if field.items().is_some() {
            field.templates("a pattern or a list of them", diagnostics)
        } else {
            field.template(diagnostics).into_iter().collect()
        }
    },
};
