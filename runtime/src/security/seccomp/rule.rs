//! What the profile says about one system call.

use super::action::Action;

/// The answer to a system call, or how to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Always the same. The kernel remembers an `Allow` of this kind for each number and no longer runs the program.
    Answer(Action),
    /// It depends on an argument.
    Check(Check),
}

/// A decision by one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    /// Which argument, 0 to 5.
    pub(super) argument: u32,
    /// What must hold.
    pub(super) condition: Condition,
    /// The answer when it does.
    pub(super) met: Action,
    /// The answer when it does not.
    pub(super) unmet: Action,
}

/// Something that can be told of a 64-bit argument.
///
/// A program sees values only. What a pointer points to cannot be checked: the process could change it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// The low 32 bits lie in one of these ranges, which are inclusive, ascending and do not touch.
    ///
    /// For what the kernel declares as `int` or `unsigned int`: it drops the upper half, so that a filter which
    /// compares it is one that `1 << 32` gets around (CVE-2019-7303) or one that refuses a sign-extended value.
    LowHalfWithin(&'static [(u32, u32)]),
    /// None of these bits is set.
    NoneOf(u64),
}
