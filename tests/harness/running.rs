use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::capture::Capture;
use crate::terminal::{Terminal, screen};
use crate::{Finished, wait};

/// No run of a test takes longer; it is killed, and its output shown.
const LIMIT: Duration = Duration::from_secs(1500);

/// An agent that runs.
#[derive(Debug)]
pub struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: Capture,
    /// `None` on a terminal, where both come out together.
    pub(crate) stderr: Option<Capture>,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) root: PathBuf,
}

impl Running {
    /// Waits until the agent has printed `text` on its standard output.
    ///
    /// # Panics
    /// When it does not come, with all that came.
    pub fn wait_for(&mut self, text: &str) {
        let seen = wait::until(wait::PATIENCE, || {
            // In this order: what comes in between is found.
            let over = self.stdout.is_over();
            let found = String::from_utf8_lossy(&self.stdout.so_far()).contains(text);
            (found || over).then_some(found)
        });
        assert!(
            seen == Some(true),
            "`{text}` did not come; standard output:\n{}\nstandard error:\n{}",
            String::from_utf8_lossy(&self.stdout.so_far()),
            String::from_utf8_lossy(&self.errors_so_far())
        );
    }

    /// Waits until the agent has printed `text` on its standard error; answers all that it has printed there.
    ///
    /// # Panics
    /// When it does not come, with all that came.
    pub fn wait_for_complaint(&mut self, text: &str) -> String {
        let seen = wait::until(wait::PATIENCE, || {
            let over = self.stderr.as_ref().is_none_or(Capture::is_over);
            let found = String::from_utf8_lossy(&self.errors_so_far()).contains(text);
            (found || over).then_some(found)
        });
        let all = String::from_utf8_lossy(&self.errors_so_far()).into_owned();
        assert!(seen == Some(true), "`{text}` did not come:\n{all}");
        all
    }

    /// Waits until the line with the cursor, the last one on the terminal, fits.
    ///
    /// # Panics
    /// When it does not come, with the screen; when there is no terminal.
    #[must_use]
    pub fn wait_for_last_line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        assert!(self.terminal.is_some(), "the agent is not on a terminal");
        let look = || screen(&self.stdout.so_far(), &self.root);
        let found = wait::until(wait::PATIENCE, || {
            let screen = look();
            screen.lines().last().is_some_and(&fits).then_some(screen)
        });
        found.unwrap_or_else(|| panic!("the last line did not come:\n{}", look()))
    }

    /// The agent's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether nobody writes to its standard output any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stdout.is_over()
    }

    /// Sends a signal to the agent alone.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // An agent that is gone already needs no signal.
        let _ = id.map(|id| kill_process(id, signal));
    }

    /// Interrupts the agent alone, as no terminal does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Presses Ctrl-C on the terminal, which tells everybody in the foreground.
    ///
    /// # Panics
    /// When there is none.
    pub fn press_ctrl_c(&self) {
        let terminal = self.terminal.as_ref();
        terminal.expect("the agent is on a terminal").press(b"\x03");
    }

    /// Types on the terminal.
    ///
    /// # Panics
    /// When there is none.
    pub fn press(&self, keys: &str) {
        let terminal = self.terminal.as_ref();
        terminal
            .expect("the agent is on a terminal")
            .press(keys.as_bytes());
    }

    /// Makes the terminal so many lines high and characters wide, as somebody who pulls at its window.
    ///
    /// # Panics
    /// When there is none.
    pub fn resize(&self, rows: u16, columns: u16) {
        let terminal = self.terminal.as_ref();
        terminal
            .expect("the agent is on a terminal")
            .resize(rows, columns);
    }

    /// Whether the terminal echoes and waits for whole lines, as a shell leaves it to its programs.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn terminal_is_cooked(&self) -> bool {
        let terminal = self.terminal.as_ref();
        terminal.expect("the agent is on a terminal").is_cooked()
    }

    /// Waits until the agent has ended, and nothing else.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_end(&mut self) {
        let ended = wait::until(wait::PATIENCE, || {
            self.child.try_wait().expect("wait for the agent")
        });
        assert!(ended.is_some(), "the agent does not end");
    }

    /// Closes the pipe the agent's standard output goes to, once there is more in it.
    pub fn close_output(&self) {
        self.stdout.close();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes longer than any test may.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let status = wait::until(LIMIT, || self.child.try_wait().expect("wait for the agent"));
        if status.is_none() {
            self.signal(Signal::KILL);
        }
        let killed = self.child.wait().expect("wait for the agent");
        // A process that outlived the agent with its streams open would keep these for ever.
        let closed = wait::until(wait::PATIENCE, || {
            let errors = self.stderr.as_ref().is_none_or(Capture::is_over);
            (self.stdout.is_over() && errors).then_some(())
        });
        let finished = Finished {
            status: status.unwrap_or(killed),
            stdout: self.stdout.so_far(),
            stderr: self.errors_so_far(),
            root: self.root,
        };
        assert!(
            status.is_some(),
            "the agent did not end in {LIMIT:?}:\n{finished}"
        );
        assert!(
            closed.is_some(),
            "something holds the agent's output open after its end:\n{finished}"
        );
        finished
    }

    fn errors_so_far(&self) -> Vec<u8> {
        self.stderr
            .as_ref()
            .map(Capture::so_far)
            .unwrap_or_default()
    }
}
