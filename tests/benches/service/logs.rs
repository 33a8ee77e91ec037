//! Bytes of logs: in from many agents, out to many followers.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use protocol::service::BlockHasher;
use tokio::task::JoinSet;

use crate::fleet::{self, Setting};
use crate::place::Server;
use crate::{dispatch, print};

/// Agents that have much to say.
const AGENTS: usize = 32;
/// What each says, bytes.
const EACH: usize = 32 << 20;
/// As the agent sends it, bytes.
const PIECE: usize = 1 << 20;
/// Who follows one log.
const FOLLOWERS: usize = 100;
/// What the one log has that is followed, bytes.
const FOLLOWED: usize = 16 << 20;

/// Everything about bytes.
pub(crate) async fn measure(server: &Server, work: &Path) -> Result<(), Box<dyn Error>> {
    let bare = bare(work)?;
    print(
        "bytes through loopback to a file, MB/s",
        &[format!("{bare:.0}")],
    );
    taken_in(server, bare).await?;
    handed_out(server).await
}

/// A log of lines.
fn text(length: usize) -> Vec<u8> {
    let line = b"2026-01-01 compiling something or other with many options -O2 -g -Wall\n";
    line.iter().copied().cycle().take(length).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a figure")]
fn rate(bytes: usize, started: Instant) -> f64 {
    bytes as f64 / 1e6 / started.elapsed().as_secs_f64()
}

/// What the same bytes take that nobody looks at.
fn bare(work: &Path) -> Result<f64, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let mut file = tempfile::tempfile_in(work)?;
    let total = AGENTS * EACH;
    let started = Instant::now();
    let sender = std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let piece = text(PIECE);
        for _ in 0..total / PIECE {
            stream.write_all(&piece)?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0; PIECE];
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            count => file.write_all(&buffer[..count])?,
        }
    }
    sender.join().map_err(|_| "a thread has panicked")??;
    file.sync_data()?;
    Ok(rate(total, started))
}

/// Many agents send, and finish.
async fn taken_in(server: &Server, bare: f64) -> Result<(), Box<dyn Error>> {
    let setting = Setting::new(server, u64::MAX);
    let agents = fleet::register(server, AGENTS).await?;
    let mut user = server.user();
    let mut holding = Vec::new();
    for mut agent in agents {
        user.post("/api/v1/pipelines", &setting.submission(1))
            .await?;
        let path = dispatch::taken(&mut agent).await?;
        holding.push((agent, path));
    }
    let piece: std::rc::Rc<[u8]> = text(PIECE).into();
    let mut hasher = BlockHasher::new();
    for _ in 0..EACH / PIECE {
        hasher.update(&piece);
    }
    let checksum = hasher.checksum();
    let (started, processor) = (Instant::now(), server.processor());
    let mut sending = JoinSet::new();
    for (mut agent, path) in holding {
        let piece = piece.clone();
        sending.spawn_local(async move {
            for number in 0..EACH / PIECE {
                let offset = (number * PIECE) as u64;
                agent
                    .patch(&format!("{path}/logs/step-0"), offset, &piece)
                    .await?;
            }
            fleet::finish(&mut agent, &path, EACH as u64, checksum).await
        });
    }
    while let Some(done) = sending.join_next().await {
        done??;
    }
    let rate = rate(AGENTS * EACH, started);
    let processor = (server.processor() - processor) / started.elapsed().as_secs_f64();
    print(
        "logs in, 32 agents, 1 GiB, MB/s",
        &[
            format!("{rate:.0}"),
            format!("{:.2} x bare", rate / bare),
            format!("{processor:.2} processors"),
            format!("{:.1} MiB", server.resident()),
        ],
    );
    Ok(())
}

/// Many follow one log that grows.
async fn handed_out(server: &Server) -> Result<(), Box<dyn Error>> {
    let setting = Setting::new(server, u64::MAX);
    let mut agents = fleet::register(server, 1).await?;
    let mut agent = agents.pop().ok_or("no agent")?;
    let mut user = server.user();
    user.post("/api/v1/pipelines", &setting.submission(1))
        .await?;
    let path = dispatch::taken(&mut agent).await?;
    let log = format!("{path}/logs/step-0");
    let (started, processor) = (Instant::now(), server.processor());
    let mut following = JoinSet::new();
    for _ in 0..FOLLOWERS {
        let (user, path) = (server.user(), format!("{log}/follow"));
        following.spawn_local(async move {
            let mut follower = user.follow(&path).await?;
            let mut last = 0;
            while let Some(at) = follower.next().await? {
                last = at;
            }
            Ok::<u64, std::io::Error>(last)
        });
    }
    let piece = text(PIECE);
    for number in 0..FOLLOWED / PIECE {
        agent.patch(&log, (number * PIECE) as u64, &piece).await?;
    }
    let mut hasher = BlockHasher::new();
    (0..FOLLOWED / PIECE).for_each(|_| hasher.update(&piece));
    fleet::finish(&mut agent, &path, FOLLOWED as u64, hasher.checksum()).await?;
    while let Some(done) = following.join_next().await {
        if done?? != FOLLOWED as u64 {
            return Err("a follower has not got everything".into());
        }
    }
    let rate = rate(FOLLOWERS * FOLLOWED, started);
    let processor = (server.processor() - processor) / started.elapsed().as_secs_f64();
    print(
        "a log out to 100 followers, MB/s",
        &[
            format!("{rate:.0}"),
            format!("{processor:.2} processors"),
            format!("{:.1} MiB", server.resident()),
        ],
    );
    Ok(())
}
