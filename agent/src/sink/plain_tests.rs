use std::sync::Arc;

use protocol::{Cause, Conclusion, Event, Usage, WorkspaceMode};

use super::{Plain, Verbosity};
use crate::log::{Chunk, RunDirectory, StepId};
use crate::sink::{Layout, Sink, Style, Terminal};

struct Screen {
    sink: Box<dyn Sink>,
    out: Vec<u8>,
    _data: tempfile::TempDir,
}

impl Screen {
    fn new(style: Style, wrap: impl FnOnce(Plain) -> Box<dyn Sink>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let logs = RunDirectory::create(data.path(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        let plain = Plain::new(Layout::Raw, style, Verbosity::Full, Arc::new(logs));
        Self {
            sink: wrap(plain),
            out: Vec::new(),
            _data: data,
        }
    }

    fn event(&mut self, event: &Event) {
        self.sink.event(event, &mut self.out).unwrap();
    }

    fn log(&mut self, bytes: &[u8]) {
        let chunk = Chunk {
            step: Arc::new(StepId {
                job: "main".to_owned(),
                step: "make".to_owned(),
                index: 0,
            }),
            offset: 0,
            bytes: bytes.to_vec(),
        };
        self.sink.log(&chunk, &mut self.out).unwrap();
    }

    fn idle(&mut self, now: u64) {
        self.sink.idle(now, &mut self.out).unwrap();
    }

    /// What has been written since the last call, control characters by name.
    fn take(&mut self) -> String {
        let text = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
        text.replace('\x1b', "<ESC>").replace('\r', "<CR>")
    }
}

fn run_started() -> Event {
    Event::RunStarted {
        id: "run-1".to_owned(),
        at: 0,
        pipeline: None,
        jobs: vec!["main".to_owned()],
        workspace: Some(WorkspaceMode::InPlace),
        network: Some("none".to_owned()),
    }
}

fn step_started() -> Event {
    Event::StepStarted {
        job: "main".to_owned(),
        step: "make".to_owned(),
        index: 0,
        image: "debian:bookworm".to_owned(),
        at: 1000,
    }
}

fn step_finished() -> Event {
    Event::StepFinished {
        job: "main".to_owned(),
        step: "make".to_owned(),
        conclusion: Conclusion::Failure,
        cause: Some(Cause::Signal { signal: 9 }),
        allowed: false,
        duration_ms: 61_000,
        usage: Some(Usage {
            user_us: 1_500_000,
            system_us: 700_000,
            max_rss_bytes: 34 << 20,
            peak_memory_bytes: None,
            peak_pids: Some(3),
            read_bytes: Some(1 << 20),
            written_bytes: Some(512 << 10),
        }),
    }
}

#[test]
fn colours_times_and_usage_are_shown() {
    let mut screen = Screen::new(Style::Colour, |plain| Box::new(plain));
    screen.event(&run_started());
    screen.event(&step_started());
    screen.event(&step_finished());
    screen.event(&Event::RunFinished {
        conclusion: Conclusion::Failure,
        duration_ms: 3_725_000,
    });
    let text = screen.take();
    let shown: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("log cannot be read"))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    run run-1
    workspace: the working tree itself; steps can change it
    network: none; steps reach nothing but themselves
    <ESC>[1;36m==> main / make<ESC>[0m (debian:bookworm)
    <ESC>[2m<== main / make<ESC>[0m: <ESC>[1;31mfailed<ESC>[0m, killed by signal 9 (SIGKILL) (1m01s)

    <ESC>[2mJOB<ESC>[0m   <ESC>[2mSTEP<ESC>[0m  <ESC>[2mRESULT<ESC>[0m   <ESC>[2mTIME<ESC>[0m   <ESC>[2mCPU<ESC>[0m    <ESC>[2mMEMORY<ESC>[0m      <ESC>[2mI/O<ESC>[0m  <ESC>[2mPIDS<ESC>[0m
    main  make  <ESC>[1;31mfailed<ESC>[0m  1m01s  2.2s  34.0 MiB  1.5 MiB     3

    <ESC>[1;31mmain / make: failed<ESC>[0m: killed by signal 9 (SIGKILL)

    run: <ESC>[1;31mfailed<ESC>[0m (1h02m05s)
    ");
}

#[test]
fn the_status_line_never_disturbs_output() {
    let mut screen = Screen::new(Style::Plain, |plain| Box::new(Terminal::new(plain, || 40)));
    screen.event(&run_started());
    screen.idle(0);
    screen.event(&step_started());
    screen.take();

    screen.idle(3_500);
    assert_eq!(screen.take(), "main / make 2.0s");
    screen.idle(3_600);
    assert_eq!(screen.take(), "", "nothing has changed");
    screen.log(b" 10%");
    assert_eq!(screen.take(), "<CR><ESC>[2K 10%");
    screen.idle(9_000);
    assert_eq!(screen.take(), "", "the cursor is in a step's line");
    screen.log(b"\r100%\n");
    screen.idle(9_000);
    assert_eq!(screen.take(), "<CR>100%\nmain / make 8.0s");
    screen.event(&step_finished());
    insta::assert_snapshot!(screen.take(), @"<CR><ESC>[2K<ESC>[0m<ESC>[?25h<== main / make: failed, killed by signal 9 (SIGKILL) (1m01s)");
    screen.idle(9_000);
    assert_eq!(screen.take(), "");
}

#[test]
fn names_cannot_control_the_terminal() {
    let mut screen = Screen::new(Style::Plain, |plain| Box::new(plain));
    screen.event(&Event::StepStarted {
        job: "a\x1b[2Jb".to_owned(),
        step: "c\rd".to_owned(),
        index: 0,
        image: "e\x07".to_owned(),
        at: 0,
    });
    insta::assert_snapshot!(screen.take(), @"==> ab / c?d (e?)");
}
