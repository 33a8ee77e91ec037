use runtime::container::{Capabilities, Privileges, Process, ProcessLimit, capability};

use super::{absolute, seccomp};
use crate::oci::OciError;
use crate::oci::config::{self, Spec};

/// What the container's command is to be; a bundle without one still has a container.
pub(super) fn of(spec: &Spec) -> Result<Process, OciError> {
    let Some(process) = &spec.process else {
        return Ok(Process {
            argv: Vec::new(),
            env: Vec::new(),
            cwd: "/".into(),
            create_cwd: false,
            user: None,
            nesting: false,
            privileges: None,
        });
    };
    if process.args.is_empty() {
        return Err(OciError::field("process.args", "there is no program in it"));
    }
    let user = &process.user;
    let seccomp = spec.linux.seccomp.as_ref();
    Ok(Process {
        argv: process.args.clone(),
        env: environment(&process.env)?,
        cwd: absolute("process.cwd", &process.cwd)?,
        create_cwd: true,
        user: None,
        nesting: false,
        privileges: Some(Box::new(Privileges {
            uid: user.uid,
            gid: user.gid,
            additional_gids: user.additional_gids.clone(),
            umask: user.umask.unwrap_or(0o022),
            capabilities: capabilities(&process.capabilities)?,
            no_new_privileges: process.no_new_privileges,
            rlimits: limits(spec)?,
            oom_score_adj: process.oom_score_adj,
            filter: seccomp.map(seccomp::of).transpose()?,
        })),
    })
}

fn environment(texts: &[String]) -> Result<Vec<(String, String)>, OciError> {
    let all = texts.iter().enumerate();
    all.map(|(index, text)| {
        let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| {
            let field = format!("process.env[{index}]");
            OciError::field(field, "it is not of the form NAME=VALUE")
        })?;
        Ok((name.to_owned(), value.to_owned()))
    })
    .collect()
}

fn capabilities(sets: &config::Capabilities) -> Result<Capabilities, OciError> {
    let read = |name: &str, set: &[String]| {
        set.iter()
            .enumerate()
            .try_fold(0, |bits, (index, one)| match capability(one) {
                Some(bit) => Ok(bits | bit),
                None => Err(OciError::field(
                    format!("process.capabilities.{name}[{index}]"),
                    format!("{one:?} is no capability"),
                )),
            })
    };
    Ok(Capabilities {
        bounding: read("bounding", &sets.bounding)?,
        effective: read("effective", &sets.effective)?,
        permitted: read("permitted", &sets.permitted)?,
        inheritable: read("inheritable", &sets.inheritable)?,
        ambient: read("ambient", &sets.ambient)?,
    })
}

/// What the command is held to by itself. Of a limit that is there twice the later one counts.
pub(super) fn limits(spec: &Spec) -> Result<Vec<ProcessLimit>, OciError> {
    let Some(process) = &spec.process else {
        return Ok(Vec::new());
    };
    let all = process.rlimits.iter().enumerate();
    all.map(|(index, limit)| {
        let field = format!("process.rlimits[{index}]");
        if limit.soft > limit.hard {
            return Err(OciError::field(field, "`soft` is above `hard`"));
        }
        ProcessLimit::named(&limit.kind, limit.soft, limit.hard).ok_or_else(|| {
            let problem = format!("{:?} is no limit of the kernel's", limit.kind);
            OciError::field(format!("{field}.type"), problem)
        })
    })
    .collect()
}
