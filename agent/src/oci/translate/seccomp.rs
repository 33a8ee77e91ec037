use runtime::security::seccomp::{
    Answer, ArgumentTest, Comparison, Instruction, OwnProfile, OwnRule,
};

use crate::oci::OciError;
use crate::oci::config::{Seccomp, SeccompArg};

/// `EPERM`: what a call fails with that is refused without a number.
const EPERM: u32 = 1;
/// The largest number that the kernel fails a call with.
const LARGEST: u32 = 4095;

/// The program for what a bundle says of system calls, which pass it beside the default profile.
pub(super) fn of(seccomp: &Seccomp) -> Result<Vec<Instruction>, OciError> {
    let wrong =
        |field: &str, problem: String| OciError::field(format!("linux.seccomp.{field}"), problem);
    // A program is for the one thread that will be the command.
    let unknown = seccomp
        .flags
        .iter()
        .find(|flag| *flag != "SECCOMP_FILTER_FLAG_TSYNC");
    if let Some(flag) = unknown {
        return Err(wrong("flags", format!("{flag} is not offered")));
    }
    let default = answer(&seccomp.default_action, seccomp.default_errno_ret)
        .map_err(|problem| wrong("defaultAction", problem))?;
    let mut rules = Vec::with_capacity(seccomp.syscalls.len());
    for (index, syscall) in seccomp.syscalls.iter().enumerate() {
        let answer = answer(&syscall.action, syscall.errno_ret)
            .map_err(|problem| wrong(&format!("syscalls[{index}].action"), problem))?;
        let tests = syscall.args.iter().map(test).collect::<Result<_, _>>();
        rules.push(OwnRule {
            names: syscall.names.clone(),
            answer,
            tests: tests.map_err(|problem| wrong(&format!("syscalls[{index}].args"), problem))?,
        });
    }
    let profile = OwnProfile { default, rules };
    let too_long = || {
        let problem = "the kernel takes no program that long".to_owned();
        wrong("syscalls", problem)
    };
    profile.compile().ok_or_else(too_long)
}

fn answer(action: &str, errno: Option<u32>) -> Result<Answer, String> {
    let number = errno.unwrap_or(EPERM);
    let number = u16::try_from(number)
        .ok()
        .filter(|number| u32::from(*number) <= LARGEST)
        .ok_or_else(|| format!("{number} is no error number"))?;
    Ok(match action {
        "SCMP_ACT_ALLOW" => Answer::Allow,
        "SCMP_ACT_LOG" => Answer::Log,
        "SCMP_ACT_ERRNO" => Answer::Errno(number),
        "SCMP_ACT_TRACE" => Answer::Trace(number),
        "SCMP_ACT_TRAP" => Answer::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Answer::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Answer::KillProcess,
        other => return Err(format!("{other:?} is not offered")),
    })
}

fn test(argument: &SeccompArg) -> Result<ArgumentTest, String> {
    if argument.index > 5 {
        return Err(format!("a call has no argument {}", argument.index));
    }
    let (comparison, value) = match argument.op.as_str() {
        "SCMP_CMP_EQ" => (Comparison::Equal, argument.value),
        "SCMP_CMP_NE" => (Comparison::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Comparison::Less, argument.value),
        "SCMP_CMP_LE" => (Comparison::LessOrEqual, argument.value),
        "SCMP_CMP_GT" => (Comparison::Greater, argument.value),
        "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, argument.value),
        // The first value is the mask (seccomp_rule_add(3)).
        "SCMP_CMP_MASKED_EQ" => (Comparison::Masked(argument.value), argument.value_two),
        other => return Err(format!("{other:?} is no comparison")),
    };
    Ok(ArgumentTest {
        index: argument.index,
        comparison,
        value,
    })
}
