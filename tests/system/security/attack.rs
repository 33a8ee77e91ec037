//! One attack, and the two runs that judge it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use harness::{Agent, Finished, TestEnvironment, World, images};
use tempfile::TempDir;

use crate::support::must;

/// What an attack prints when it got what it wanted.
const BREACHED: &str = "breached";

/// A step that means harm.
#[derive(Debug)]
pub(super) struct Attack<'a> {
    image: String,
    script: String,
    user: &'a str,
    options: &'a [&'a str],
    /// The world that it is in, and its `network`.
    reaching: Option<(&'a World, &'a str)>,
}

impl<'a> Attack<'a> {
    /// A script of `sh`, run as root of an image that has busybox and nothing else. It says `breached` when it got what it
    /// wanted; how it ends does not matter.
    pub(super) fn by(script: impl Into<String>) -> Self {
        Self {
            image: images::plain(),
            script: script.into(),
            user: "root",
            options: &[],
            reaching: None,
        }
    }

    /// Attacks of `attack.c`, by their names.
    pub(super) fn of(names: &str) -> Self {
        Self::by(format!("/workspace/attack {names}"))
    }

    /// Once the container's init has given up what it needed to begin with: before, the kernel protects it better.
    pub(super) fn once_init_has_settled(self) -> Self {
        let script = format!(
            "until grep -q '^CapPrm:.0*20$' /proc/1/status; do :; done; {}",
            self.script
        );
        Self { script, ..self }
    }

    /// In another image.
    pub(super) fn in_image(self, image: impl Into<String>) -> Self {
        let image = image.into();
        Self { image, ..self }
    }

    /// As another user than root.
    pub(super) fn by_user(self, user: &'a str) -> Self {
        Self { user, ..self }
    }

    /// With more options of `run-local`.
    pub(super) fn with(self, options: &'a [&'a str]) -> Self {
        Self { options, ..self }
    }

    /// In a world, of which its `network` lets it reach so much.
    pub(super) fn reaching(self, world: &'a World, network: &'a str) -> Self {
        let reaching = Some((world, network));
        Self { reaching, ..self }
    }

    /// The agent that runs it, to be changed further.
    pub(super) fn agent<'e>(&self, env: &'e TestEnvironment) -> Agent<'e> {
        env.copy_program(program(), "project/attack");
        let script = serde_json::to_string(&self.script).unwrap_or_default();
        let network = self.reaching.map(|(_, network)| network);
        let network = network.map_or_else(String::new, |network| format!(", network: {network}"));
        env.pipeline(&format!(
            "image: \"{}\"\nsteps:\n  - {{ name: step, user: \"{}\"{network}, run: {script} }}\n",
            self.image, self.user
        ));
        let agent = env.agent(["run-local"].iter().chain(self.options));
        match self.reaching {
            Some((world, _)) => agent.in_world(world),
            None => agent,
        }
    }

    /// Runs it.
    pub(super) fn run(&self, env: &TestEnvironment) -> Finished {
        self.agent(env).run()
    }

    /// It fails on the agent as it is, and succeeds on one without these defences.
    #[track_caller]
    pub(super) fn is_stopped_by(&self, env: &TestEnvironment, defences: &[&str]) {
        self.is_stopped_by_if(env, defences, breached);
    }

    /// It fails even on an agent without these: others stand behind them.
    #[track_caller]
    pub(super) fn is_stopped_without(&self, env: &TestEnvironment, defences: &[&str]) {
        self.is_stopped_without_if(env, defences, breached);
    }

    /// As [`Self::is_stopped_by`], where success shows elsewhere than in the output.
    #[track_caller]
    pub(super) fn is_stopped_by_if(
        &self,
        env: &TestEnvironment,
        defences: &[&str],
        succeeded: impl Fn(&Finished) -> bool,
    ) {
        let done = self.run(env);
        assert!(!succeeded(&done), "{self:?} succeeded:\n{done}");
        let done = self.agent(env).weakened(defences).run();
        assert!(
            succeeded(&done),
            "{self:?} failed without {defences:?}, too:\n{done}"
        );
    }

    /// As [`Self::is_stopped_without`], where success shows elsewhere than in the output.
    #[track_caller]
    pub(super) fn is_stopped_without_if(
        &self,
        env: &TestEnvironment,
        defences: &[&str],
        succeeded: impl Fn(&Finished) -> bool,
    ) {
        let done = self.agent(env).weakened(defences).run();
        assert!(
            !succeeded(&done),
            "{self:?} succeeded without {defences:?}:\n{done}"
        );
    }
}

/// Whether an attack says that it succeeded: in the step's output, not where its script is quoted.
pub(super) fn breached(done: &Finished) -> bool {
    let output = done.output();
    let mut lines = output
        .lines()
        .map(|line| line.rsplit("| ").next().unwrap_or(line));
    lines.any(|line| line.starts_with(BREACHED))
}

/// `attack.c`, compiled once for all tests of this program.
pub(super) fn program() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("make a directory for the attacks");
        let source = directory.path().join("attack.c");
        fs::write(&source, include_str!("attack.c")).expect("write the attacks");
        let path = directory.path().join("attack");
        let _ = must(
            Command::new("cc")
                .args(["-static", "-O1", "-o"])
                .arg(&path)
                .arg(&source),
        );
        (directory, path)
    });
    path
}

/// An image with busybox in which scripts of this machine's shell have changed something, each in an archive's part of its
/// own: it runs in an empty directory, and what files and links it leaves there come behind those before, as they are.
pub(super) fn image_with(env: &TestEnvironment, name: &str, scripts: &[&str]) -> String {
    let archive = env.root().join(format!("{name}.tar"));
    let _ = must(
        Command::new("cp")
            .arg(images::path("busybox.tar"))
            .arg(&archive),
    );
    for script in scripts {
        let tree = tempfile::tempdir().expect("make a directory for a layer");
        let add = format!(
            "{script}\nfind . -mindepth 1 '(' ! -type d -o -empty ')' -printf '%P\\0' | \
             tar --null --no-recursion --owner=0 --group=0 -T - -rf {}",
            archive.display()
        );
        let _ = must(
            Command::new("sh")
                .args(["-ec", &add])
                .current_dir(tree.path()),
        );
    }
    env.own(&archive);
    format!("tar:{}", archive.display())
}

/// A directory of the machine's that everybody can write to, for an attack to leave something in.
#[derive(Debug)]
pub(super) struct Victim(PathBuf);

impl Victim {
    pub(super) fn new(env: &TestEnvironment) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = env.root().join("victim");
        fs::create_dir_all(&path).expect("make a victim");
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&path, open).expect("open the victim");
        Self(path)
    }

    pub(super) fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }

    /// Whether something was left in it since it was last asked.
    pub(super) fn is_hurt(&self) -> bool {
        let found: Vec<_> = fs::read_dir(&self.0)
            .expect("list the victim")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        let _ = must(Command::new("rm").arg("-rf").args(&found));
        !found.is_empty()
    }
}
