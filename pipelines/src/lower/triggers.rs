//! Whether an event starts the pipeline at all.

use crate::{
    Context, Event,
    glob::GlobList,
    syntax::{Filter, Triggers},
};

/// Why it does not, as words without a full stop; `None` when it does, or when nobody asked.
pub(super) fn refusal(on: Option<&Triggers>, context: Option<&Context>) -> Option<String> {
    let context = context.filter(|context| context.filtered)?;
    let event = context.event.as_str();
    let none = || Some(format!("`on` does not name the event {event}"));
    let Some(on) = on else {
        let usual = matches!(
            context.event,
            Event::Push | Event::PullRequest | Event::Manual
        );
        return if usual { None } else { none() };
    };
    match context.event {
        Event::Push => of_filter(on.push.as_ref(), context).unwrap_or_else(none),
        Event::PullRequest => of_filter(on.pull_request.as_ref(), context).unwrap_or_else(none),
        Event::Tag => of_filter(on.tag.as_ref(), context).unwrap_or_else(none),
        Event::Schedule if on.schedule.is_some() => None,
        Event::Manual => None,
        Event::Schedule => none(),
    }
}

/// `None` when there is no such filter, else why it is not met.
fn of_filter(filter: Option<&Filter>, context: &Context) -> Option<Option<String>> {
    let filter = filter?;
    let event = context.event.as_str();
    let branch = match context.event {
        Event::PullRequest => &context.base,
        _ => &context.branch,
    };
    let name = |key: &str, globs: Option<&GlobList>, name: Option<&str>| {
        let (globs, name) = (globs?, name.unwrap_or_default());
        let shown = shown(globs);
        (!globs.matches(name))
            .then(|| format!("`on.{event}.{key}` is {shown}, and this is {name:?}"))
    };
    let paths = || {
        let (globs, changed) = (filter.paths.as_ref()?, context.changed.as_ref()?);
        let met = changed.iter().any(|path| globs.matches(path));
        (!met).then(|| {
            let shown = shown(globs);
            format!("`on.{event}.paths` is {shown}, and none of the changed files is among them")
        })
    };
    Some(
        name("branches", filter.branches.as_ref(), branch.as_deref())
            .or_else(|| name("tags", filter.tags.as_ref(), context.tag.as_deref()))
            .or_else(paths),
    )
}

fn shown(globs: &GlobList) -> String {
    let globs: Vec<&str> = globs.iter().map(crate::glob::Glob::as_str).collect();
    format!("[{}]", globs.join(", "))
}
