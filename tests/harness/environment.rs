use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use crate::leaks;
use crate::who::Account;
use crate::{Agent, Skip, Who, images, skip};

/// A tmpfs smaller than this is no place for unpacked images.
const MIN_TMPFS: u64 = 4 << 30;

/// Everything one test may touch: a directory with a HOME, a data directory, a configuration, a project and a copy of
/// the binary, owned by the user the test runs as. It goes when the test is over.
#[derive(Debug)]
pub struct TestEnvironment {
    who: Who,
    account: Account,
    root: TempDir,
}

impl TestEnvironment {
    /// Makes it.
    ///
    /// # Errors
    /// When this machine or this account cannot run such a test.
    pub fn new(who: Who) -> Result<Self, Skip> {
        let account = who.account()?;
        let binary = binary()?;
        if !images::made() {
            return Err(Skip(
                "the images are not made: run tests/run once".to_owned(),
            ));
        }
        let root = tempfile::Builder::new()
            .prefix("slipway-test-")
            .tempdir_in(place())
            .expect("make the test's directory");
        let environment = Self { who, account, root };
        fs::set_permissions(environment.root(), fs::Permissions::from_mode(0o755))
            .expect("open the test's directory");
        environment.own(environment.root());
        for directory in [environment.home(), environment.project()] {
            fs::create_dir(&directory).expect("make a directory of the test");
            environment.own(&directory);
        }
        environment.write(environment.project().join(environment.mark()), "");
        // The built binary may be below a directory that others cannot enter; a copy of its own also tells this test's
        // processes from those of others.
        environment.copy_program(&binary, "agent");
        Ok(environment)
    }

    /// Copies a program to where the user can execute it; the name is relative to [`Self::root`].
    ///
    /// It is made by another process: a descriptor of ours that is open for writing could be inherited by what a test
    /// beside this one forks, and the kernel then refuses to execute the copy (ETXTBSY).
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy_program(&self, from: &Path, name: &str) {
        let to = self.root().join(name);
        let copied = Command::new("cp").arg(from).arg(&to).status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "copy {}",
            from.display()
        );
        self.own(&to);
    }

    /// The agent with defences that can be switched off, copied when it is first asked for.
    pub(crate) fn weakened_agent(&self) -> PathBuf {
        let name = "agent-weakened";
        let copy = self.root().join(name);
        if !copy.exists() {
            self.copy_program(&weakened_binary(), name);
        }
        copy
    }

    /// Who the agent runs as.
    #[must_use]
    pub const fn who(&self) -> Who {
        self.who
    }

    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    /// Whether the tests run as root, whoever the agent runs as: only then can [`Agent::after`] mount, and can a test give
    /// files and groups away. Says loudly when they do not.
    #[must_use]
    pub fn is_set_up_by_root(&self) -> bool {
        let is = rustix::process::geteuid().is_root();
        if !is {
            skip(&Skip("only root can set this test up".to_owned()));
        }
        is
    }

    /// The user id the agent runs as.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.account.uid
    }

    /// Unique on this machine; part of every path of this test.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The last part of [`Self::root`]; a file of that name in the project tells this test's steps from those of others.
    pub(crate) fn mark(&self) -> &OsStr {
        self.root().file_name().unwrap_or_default()
    }

    /// `$HOME`.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// `$SLIPWAY_DATA`. Not made here.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// The working tree that `run-local` is called in.
    #[must_use]
    pub fn project(&self) -> PathBuf {
        self.root().join("project")
    }

    /// Writes the project's `.pipeline.yml`.
    pub fn pipeline(&self, text: &str) {
        self.write("project/.pipeline.yml", text);
    }

    /// Writes a file of the user's, with its directories. The path is relative to [`Self::root`].
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        let parents: Vec<_> = path
            .ancestors()
            .skip(1)
            .take_while(|parent| !parent.exists())
            .collect();
        for parent in parents.into_iter().rev() {
            fs::create_dir(parent).expect("make a directory of the test");
            self.own(parent);
        }
        fs::write(&path, contents).expect("write a file of the test");
        self.own(&path);
    }

    /// Reads a file as text. The path is relative to [`Self::root`].
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.root().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
    }

    /// Copies a directory's contents into the project and gives them to the user.
    pub fn copy_into_project(&self, from: &Path) {
        let done = Command::new("cp")
            .arg("-a")
            .arg("--no-preserve=ownership")
            .arg(from.join("."))
            .arg(self.project())
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "copy {}",
            from.display()
        );
        self.own_tree(&self.project());
    }

    /// The agent with arguments, to be run by the user in the project. See [`Agent`].
    #[must_use]
    pub fn agent<I>(&self, arguments: I) -> Agent<'_>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        Agent::new(self, arguments)
    }

    /// Who owns a path, as `uid:gid`. The path is relative to [`Self::root`].
    #[must_use]
    pub fn owner(&self, path: impl AsRef<Path>) -> String {
        let path = self.root().join(path);
        let meta = fs::symlink_metadata(&path)
            .unwrap_or_else(|error| panic!("look at {}: {error}", path.display()));
        format!("{}:{}", meta.uid(), meta.gid())
    }

    /// The user itself, as [`Self::owner`] spells it.
    #[must_use]
    pub fn caller(&self) -> String {
        format!("{}:{}", self.account.uid, self.account.gid)
    }

    /// Gives a path to the user.
    pub fn own(&self, path: &Path) {
        if self.account.change {
            chown(path, Some(self.account.uid), Some(self.account.gid))
                .expect("give a path to the test's user");
        }
    }

    fn own_tree(&self, path: &Path) {
        if self.account.change {
            let owner = self.caller();
            let done = Command::new("chown")
                .args(["-R", "-h", &owner])
                .arg(path)
                .status();
            assert!(
                done.is_ok_and(|status| status.success()),
                "chown {}",
                path.display()
            );
        }
    }

    /// Fails when a process, a mount or a scratch directory of this test is still there.
    ///
    /// # Panics
    /// With a list of what is left.
    pub fn assert_nothing_left(&self) {
        leaks::assert_none(self, crate::wait::PATIENCE);
    }

    /// Fails when a process or a mount of this test does not end soon.
    ///
    /// # Panics
    /// With a list of what is left.
    pub fn assert_nothing_survives(&self) {
        leaks::assert_dead(self, crate::wait::PATIENCE);
    }

    /// Fails when a process or a mount of this test outlives the agent by a second: the promise for `kill -9`.
    ///
    /// # Panics
    /// With a list of what is left.
    pub fn assert_nothing_survives_a_second(&self) {
        leaks::assert_dead(self, std::time::Duration::from_secs(1));
    }
}

/// Where tests have their directories: memory where there is enough of it, since unpacking is what takes the time.
fn place() -> PathBuf {
    if let Some(place) = std::env::var_os("SLIPWAY_TEST_TMP") {
        return place.into();
    }
    let memory = Path::new("/dev/shm");
    let usable = statvfs(memory).is_ok_and(|found| {
        found.f_bavail.saturating_mul(found.f_frsize) >= MIN_TMPFS
            && !found.f_flag.contains(StatVfsMountFlags::NOEXEC)
    });
    if usable {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// The agent that `tests/run` built with the feature `weaken`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn weakened_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("SLIPWAY_TEST_WEAKENED") {
        return path.into();
    }
    let beside = beside_the_tests("agent-weakened");
    beside.expect(
        "the weakened agent is built: cargo build -p agent --features weaken --bin agent-weakened",
    )
}

/// The agent as `tests/run` built it, or as `cargo build` left it beside the tests.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf, Skip> {
    if let Some(path) = std::env::var_os("SLIPWAY_TEST_AGENT") {
        return Ok(path.into());
    }
    beside_the_tests("agent").ok_or_else(|| {
        Skip("the agent is not built: cargo build -p agent, or set SLIPWAY_TEST_AGENT".to_owned())
    })
}

fn beside_the_tests(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().expect("find the test's own binary");
    let beside = own.ancestors().nth(2).map(|directory| directory.join(name));
    beside.filter(|path| path.is_file())
}
