//! Who reads what whose jobs have written.

use std::fmt;

use pipelines::Event;

use crate::service::{Source, Trigger};

/// Jobs that share caches, of one repository. As a text, `KIND:NAME`, it is unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A branch: whoever may push to it.
    Branch(String),
    /// A tag.
    Tag(String),
    /// A pull request: whoever has opened it, who may be anybody. The full ref that it is fetched by, or where it comes from
    /// and goes to, and the commit: others may come from and go to branches that are called alike.
    PullRequest(String),
    /// The same of a fork, which may call its branches as it likes: what a pull request of the repository itself reads is not
    /// its own.
    Fork(String),
    /// A ref that is none of a branch or a tag, in full: what is there may be anybody's, as `refs/pull/7/merge` is.
    Reference(String),
    /// A commit that was named by its id: nobody knows whose it is.
    Commit(String),
    /// Jobs without a repository, which share nothing.
    Unnamed,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch:{name}"),
            Self::Tag(name) => write!(f, "tag:{name}"),
            Self::PullRequest(name) => write!(f, "pull-request:{name}"),
            Self::Fork(name) => write!(f, "fork:{name}"),
            Self::Reference(name) => write!(f, "ref:{name}"),
            Self::Commit(id) => write!(f, "commit:{id}"),
            Self::Unnamed => f.write_str("unnamed"),
        }
    }
}

/// What a job may do with which scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes {
    /// The one it writes to, which it reads first.
    pub own: Scope,
    /// Those it reads as well, in this order. No job writes to one of them that was not started for it.
    pub others: Vec<Scope>,
}

impl Scopes {
    /// The scopes of a job that runs for `trigger`. `default` is the branch that every job of the repository trusts, where
    /// that is known.
    ///
    /// A pull request has a scope of its own, whatever it calls its branch: it reads the one of the branch it goes to, and
    /// nobody reads what it writes.
    #[must_use]
    pub fn of(trigger: &Trigger, source: Option<&Source>, default: Option<&str>) -> Self {
        let branch = |name: &str| Scope::Branch(name.to_owned());
        let default = default.map(branch);
        let (own, target) = match trigger.event {
            event if event == Event::PullRequest || trigger.fork => {
                let reference = source.and_then(|source| source.reference.as_deref());
                // A branch of this repository or of a fork, which may be called as one of this repository.
                let reference = reference.filter(|name| !name.starts_with("refs/heads/"));
                let name = reference.map_or_else(
                    || {
                        let (from, to) = (&trigger.branch, &trigger.base);
                        let name = |name: &Option<String>| name.clone().unwrap_or_default();
                        let commit = source.map_or("", |source| source.commit.as_str());
                        format!("{} -> {} {commit}", name(from), name(to))
                    },
                    str::to_owned,
                );
                let own = match trigger.fork {
                    true => Scope::Fork(name),
                    false => Scope::PullRequest(name),
                };
                (own, trigger.base.as_deref().map(branch))
            }
            _ => match (&trigger.tag, &trigger.branch) {
                (Some(tag), _) => (Scope::Tag(tag.clone()), None),
                (None, Some(name)) => (branch(name), None),
                (None, None) => (unnamed(source), None),
            },
        };
        let mut others: Vec<Scope> = Vec::new();
        for scope in target.into_iter().chain(default) {
            if scope != own && !others.contains(&scope) {
                others.push(scope);
            }
        }
        Self { own, others }
    }

    /// All that are read, the own one first.
    pub fn read(&self) -> impl Iterator<Item = &Scope> {
        std::iter::once(&self.own).chain(&self.others)
    }
}

/// The scope of jobs that are none of a branch, a tag or a pull request, as far as anybody has said.
fn unnamed(source: Option<&Source>) -> Scope {
    match source {
        None => Scope::Unnamed,
        Some(source) => match &source.reference {
            Some(name) => Scope::Reference(name.clone()),
            None => Scope::Commit(source.commit.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trigger(event: Event, branch: &str, base: Option<&str>) -> Trigger {
        Trigger {
            branch: Some(branch.to_owned()),
            base: base.map(str::to_owned),
            ..Trigger::of(event)
        }
    }

    fn shown(scopes: &Scopes) -> Vec<String> {
        scopes.read().map(ToString::to_string).collect()
    }

    #[test]
    fn a_branch_reads_its_own_and_the_default_one() {
        let of = |branch| Scopes::of(&trigger(Event::Push, branch, None), None, Some("main"));
        assert_eq!(shown(&of("topic")), ["branch:topic", "branch:main"]);
        assert_eq!(shown(&of("main")), ["branch:main"]);
        let tag = Trigger {
            tag: Some("v1".into()),
            branch: Some("main".into()),
            ..Trigger::of(Event::Tag)
        };
        let scopes = Scopes::of(&tag, None, Some("main"));
        assert_eq!(shown(&scopes), ["tag:v1", "branch:main"]);
        let manual = Scopes::of(&Trigger::of(Event::Manual), None, None);
        assert_eq!(shown(&manual), ["unnamed"]);
    }

    #[test]
    fn what_is_run_by_a_ref_or_a_commit_has_a_scope_of_its_own() {
        let of = |reference: Option<&str>| {
            let source = Source {
                url: "https://git.example.org/o/r".into(),
                commit: "0a".repeat(20),
                reference: reference.map(str::to_owned),
            };
            let manual = Trigger::of(Event::Manual);
            shown(&Scopes::of(&manual, Some(&source), Some("main")))
        };
        assert_eq!(
            of(Some("refs/pull/7/merge")),
            ["ref:refs/pull/7/merge", "branch:main"]
        );
        let commit = format!("commit:{}", "0a".repeat(20));
        assert_eq!(of(None), [commit.as_str(), "branch:main"]);
    }

    #[test]
    fn a_pull_request_reads_where_it_goes_to_and_writes_where_nobody_else_reads() {
        let source = |reference: &str| Source {
            url: "https://git.example.org/o/r".into(),
            commit: "0".repeat(40),
            reference: Some(reference.into()),
        };
        let request = trigger(Event::PullRequest, "main", Some("stable"));
        let scopes = Scopes::of(&request, Some(&source("refs/pull/3/merge")), Some("main"));
        assert_eq!(
            shown(&scopes),
            [
                "pull-request:refs/pull/3/merge",
                "branch:stable",
                "branch:main"
            ]
        );
        let scopes = Scopes::of(&request, Some(&source("refs/heads/main")), Some("main"));
        assert_eq!(
            scopes.own.to_string(),
            format!("pull-request:main -> stable {}", "0".repeat(40))
        );
        let fork = Trigger {
            fork: true,
            ..request
        };
        let scopes = Scopes::of(&fork, None, Some("main"));
        assert_eq!(
            shown(&scopes),
            ["fork:main -> stable ", "branch:stable", "branch:main"]
        );
    }

    fn names() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(prop_oneof![
            Just("main".to_owned()),
            Just("topic".to_owned()),
            Just("refs/pull/1/head".to_owned()),
            "[a-z:>/ -]{0,12}",
        ])
    }

    fn anything() -> impl Strategy<Value = (Trigger, Option<Source>)> {
        let event = prop_oneof![
            Just(Event::Push),
            Just(Event::PullRequest),
            Just(Event::Tag),
            Just(Event::Manual),
            Just(Event::Schedule),
        ];
        let fork = proptest::bool::ANY;
        let source = proptest::option::of(("[ab]", names()));
        (event, fork, names(), names(), names(), source).prop_map(
            |(event, fork, branch, base, tag, source)| {
                let source = source.map(|(commit, reference)| Source {
                    url: String::new(),
                    commit: commit.repeat(40),
                    reference,
                });
                let trigger = Trigger {
                    fork,
                    branch,
                    base,
                    tag,
                    ..Trigger::of(event)
                };
                (trigger, source)
            },
        )
    }

    proptest! {
        #[test]
        fn nobody_else_reads_what_a_pull_request_writes(
            (request, source) in anything(),
            (other, others) in anything(),
            default in names(),
        ) {
            let request = Trigger { event: Event::PullRequest, ..request };
            let written = Scopes::of(&request, source.as_ref(), default.as_deref()).own;
            let scopes = Scopes::of(&other, others.as_ref(), default.as_deref());
            // Another pull request that cannot be told from this one is this one.
            if scopes.own != written {
                prop_assert!(scopes.read().all(|scope| *scope != written));
                let written = written.to_string();
                prop_assert!(scopes.read().all(|scope| scope.to_string() != written));
            }
            if other.fork != request.fork || (other.event != Event::PullRequest && !other.fork) {
                prop_assert!(scopes.read().all(|scope| *scope != written));
            }
        }

        #[test]
        fn who_shares_a_scope_that_is_no_branch_runs_the_same_ref_or_commit(
            (one, from) in anything(),
            (other, others) in anything(),
        ) {
            let scope = Scopes::of(&one, from.as_ref(), None).own;
            let is_shared = scope == Scopes::of(&other, others.as_ref(), None).own;
            let is_named = matches!(scope, Scope::Branch(_) | Scope::Tag(_) | Scope::Unnamed);
            if let (Some(from), Some(others), true) = (from, others, is_shared && !is_named) {
                let is_same_ref = from.reference.is_some() && from.reference == others.reference;
                prop_assert!(is_same_ref || from.commit == others.commit, "{scope}");
            }
        }

        #[test]
        fn what_is_read_is_a_branch_that_was_named_for_it(
            (trigger, source) in anything(),
            default in names(),
        ) {
            let scopes = Scopes::of(&trigger, source.as_ref(), default.as_deref());
            for scope in &scopes.others {
                let Scope::Branch(name) = scope else {
                    return Err(TestCaseError::fail("not a branch"));
                };
                let is_base = (trigger.event == Event::PullRequest || trigger.fork)
                    && trigger.base.as_ref() == Some(name);
                prop_assert!(is_base || default.as_ref() == Some(name));
                prop_assert!(*scope != scopes.own);
            }
        }
    }
}
