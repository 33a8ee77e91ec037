//! `COPY` and `ADD`.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use sha2::Digest as _;

use super::from::Sources;
use super::stage::{Stage, joined};
use super::{BuildFailure, Tools};
use crate::dockerfile::{Instruction, Place, Transfer};
use crate::layer::{Placement, Rules, Selection, TransferError, inline, is_archive};

/// Of a pipe, bytes.
const PIPE: usize = 1 << 20;

/// What goes into the root as one layer.
enum Part {
    /// Files of the context, or of another root.
    Files(Selection, From),
    /// An archive of files that came with the instruction.
    Inline(Vec<u8>),
    /// An archive of the context, to be unpacked.
    Archive(File),
}

/// Where files come from.
#[derive(Clone)]
enum From {
    Context,
    Root(Vec<String>),
}

/// What all parts of an instruction have in common.
struct Where {
    placement: Placement,
    owner: Option<String>,
    place: Place,
}

impl Stage<'_> {
    pub(super) async fn copy(
        &mut self,
        instruction: &Instruction,
        copy: &Transfer,
        sources: &Sources<'_>,
    ) -> Result<(), BuildFailure> {
        let from = match &copy.from {
            None => From::Context,
            Some((text, place)) => {
                let text = self.expand(text, *place)?;
                From::Root(sources.root(self.tools, &text, *place).await?)
            }
        };
        let mut parts = Vec::new();
        let selection = self.selection(copy, &from, instruction.words_place)?;
        if !selection.sources.is_empty() {
            parts.push(Part::Files(selection, from));
        }
        self.transfer(instruction, copy, parts).await
    }

    pub(super) async fn add(
        &mut self,
        instruction: &Instruction,
        add: &Transfer,
    ) -> Result<(), BuildFailure> {
        let place = instruction.words_place;
        let all = self.selection(add, &From::Context, place)?;
        let mut parts = Vec::new();
        let mut plain = Selection {
            sources: Vec::new(),
            ..all.clone()
        };
        for source in &all.sources {
            if is_address(source) {
                return Err(remote(source, add, place));
            }
            let file = match add.unpack {
                Some(false) => None,
                _ => self.request.context.file(source.trim_start_matches('/')),
            };
            let is_ignored = self
                .request
                .context
                .ignored()
                .has(source.trim_matches('/').as_bytes());
            let archive = file.filter(|_| !is_ignored).filter(|file| {
                let copy = file.try_clone();
                copy.is_ok_and(is_archive)
            });
            match archive {
                Some(file) => {
                    // It was read for a look.
                    let begun = rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0));
                    begun
                        .map_err(|errno| BuildFailure::internal(place, &io::Error::from(errno)))?;
                    parts.push(Part::Archive(file));
                }
                None if add.unpack == Some(true) => {
                    let message = format!("`{source}` is no archive that can be unpacked");
                    return Err(BuildFailure::instruction(place, message));
                }
                None => plain.sources.push(source.clone()),
            }
        }
        if !plain.sources.is_empty() {
            parts.push(Part::Files(plain, From::Context));
        }
        self.transfer(instruction, add, parts).await
    }

    fn selection(
        &self,
        transfer: &Transfer,
        from: &From,
        place: Place,
    ) -> Result<Selection, BuildFailure> {
        let is_context = matches!(from, From::Context);
        let sources = transfer.sources.iter().map(|text| self.expand(text, place));
        let excluded = transfer.exclude.iter().map(|text| self.expand(text, place));
        let excluded: Vec<String> = excluded.collect::<Result<_, _>>()?;
        Ok(Selection {
            sources: sources.collect::<Result<_, _>>()?,
            ignored: match from {
                From::Context => self.request.context.ignored().clone(),
                From::Root(_) => Rules::default(),
            },
            excluded: Rules::of_patterns(excluded.iter().map(String::as_str)),
            parents: transfer.parents,
            of_root: is_context,
            mode: self.mode(transfer)?,
            times: false,
        })
    }

    fn mode(&self, transfer: &Transfer) -> Result<Option<u32>, BuildFailure> {
        let Some((text, place)) = &transfer.chmod else {
            return Ok(None);
        };
        let text = self.expand(text, *place)?;
        let mode = u32::from_str_radix(&text, 8).ok();
        let mode = mode.filter(|mode| *mode <= 0o7777 && !text.starts_with('+'));
        let wrong = || {
            let message = format!("`{text}` are no permission bits");
            let mut failure = BuildFailure::mistake(*place, message);
            failure.problem.help = Some("in octal, such as `--chmod=755`".to_owned());
            failure
        };
        mode.map(Some).ok_or_else(wrong)
    }

    async fn transfer(
        &mut self,
        instruction: &Instruction,
        transfer: &Transfer,
        mut parts: Vec<Part>,
    ) -> Result<(), BuildFailure> {
        let place = instruction.words_place;
        if !transfer.contents.is_empty() {
            let mode = self.mode(transfer)?.unwrap_or(0o644);
            let mut files = Vec::new();
            for content in &transfer.contents {
                let text = if content.expands {
                    let text = self
                        .expansion
                        .content(&content.text, &|name| self.variable(name));
                    text.map_err(|error| BuildFailure::mistake(place, error.to_string()))?
                } else {
                    content.text.clone()
                };
                files.push((content.name.clone(), text.into_bytes()));
            }
            let archive = inline(&files, mode);
            let archive = archive.map_err(|error| BuildFailure::transfer(place, &error))?;
            parts.push(Part::Inline(archive));
        }
        let target = self.expand(&transfer.target, place)?;
        if target.is_empty() {
            return Err(BuildFailure::mistake(place, "it is not said where to"));
        }
        let chown = transfer.chown.as_deref();
        let owner = chown.map(|text| self.expand(text, place)).transpose()?;
        let is_several = transfer.sources.len() + transfer.contents.len() > 1;
        let is_directory = is_several
            || target.ends_with('/')
            || [".", ".."].contains(&target.rsplit('/').next().unwrap_or(""));
        for part in parts {
            let placement = Placement {
                target: PathBuf::from(joined(&self.draft.directory, &target)),
                is_directory,
                unpacks: matches!(part, Part::Archive(_)),
            };
            let to = Where {
                placement,
                owner: owner.clone(),
                place,
            };
            self.part(instruction, part, to).await?;
        }
        Ok(())
    }

    async fn part(
        &mut self,
        instruction: &Instruction,
        part: Part,
        mut to: Where,
    ) -> Result<(), BuildFailure> {
        let place = to.place;
        let failed = |error: TransferError| told(error, &part, place);
        let (digest, count) = self.digest(&part).await.map_err(failed)?;
        to.placement.is_directory |= count > 1;
        let key = self.key(&serde_json::json!({
            "files": digest,
            "placement": to.placement,
            "owner": to.owner,
        }));
        let made = match self.cached(&key, place).await? {
            Some(made) => made,
            None => {
                let number = self.tools.zygote.fresh();
                // It is read a second time: what the layer has must be what its name says, now and for whoever comes later.
                let put = match self.put(&part, number, to).await {
                    Ok(()) => self.digest(&part).await,
                    Err(error) => Err(error),
                };
                let layer = match put {
                    Ok((again, _)) if again == digest => self.commit(number, None, place).await,
                    Ok(_) => {
                        let message = "the files changed while they were copied";
                        Err(BuildFailure::instruction(place, message))
                    }
                    Err(error) => Err(told(error, &part, place)),
                };
                self.tools.zygote.forget(number).await;
                self.keep(&key, Some(layer?), place)?
            }
        };
        self.record(&instruction.source, &made);
        Ok(())
    }

    /// Of what is copied, without its times; and how many sources there are.
    async fn digest(&self, part: &Part) -> Result<(String, usize), TransferError> {
        let hash = Hash::default();
        let count = match part {
            Part::Files(selection, From::Context) => {
                let context = self.request.context;
                let gathered = context.gather(selection.clone(), hash.clone()).await?;
                gathered.sources
            }
            Part::Files(selection, From::Root(layers)) => {
                let taken = self.tools.zygote.take(layers, selection, None).await?;
                return Ok((taken.digest, taken.gathered.sources));
            }
            Part::Inline(archive) => {
                hash.add(archive);
                0
            }
            Part::Archive(file) => {
                let failed = |error: io::Error| TransferError::Worker {
                    reason: error.to_string(),
                };
                let mut own = file.try_clone().map_err(failed)?;
                let mut writer = hash.clone();
                let copied = tokio::task::spawn_blocking(move || {
                    // Whoever has unpacked it has left it at its end.
                    io::Seek::rewind(&mut own)?;
                    io::copy(&mut own, &mut writer)?;
                    io::Seek::rewind(&mut own)
                });
                let copied = copied.await.map_err(io::Error::other);
                copied.and_then(|done| done).map_err(failed)?;
                0
            }
        };
        Ok((hash.finish(), count))
    }

    async fn put(&self, part: &Part, number: u64, to: Where) -> Result<(), TransferError> {
        let Tools { zygote, .. } = self.tools;
        let Where {
            placement, owner, ..
        } = to;
        let root = self.draft.root();
        let worker = |error: io::Error| TransferError::Worker {
            reason: error.to_string(),
        };
        let archive = match part {
            Part::Inline(archive) => {
                let file = memfd_create("files", MemfdFlags::CLOEXEC);
                let mut file = File::from(file.map_err(|errno| worker(errno.into()))?);
                file.write_all(archive).map_err(worker)?;
                io::Seek::rewind(&mut file).map_err(worker)?;
                OwnedFd::from(file)
            }
            Part::Archive(file) => file.try_clone().map_err(worker)?.into(),
            Part::Files(selection, from) => {
                let (reader, writer) = pipe_of_ours().map_err(worker)?;
                let selection = Selection {
                    times: true,
                    ..selection.clone()
                };
                let put = zygote.put(&root, number, placement, owner, reader);
                let taken = async {
                    match from {
                        From::Context => {
                            let out = File::from(writer);
                            self.request.context.gather(selection, out).await.map(drop)
                        }
                        From::Root(layers) => zygote
                            .take(layers, &selection, Some(writer))
                            .await
                            .map(drop),
                    }
                };
                return match futures_util::future::join(taken, put).await {
                    // Whoever does not take it has the reason.
                    (Err(TransferError::Write { .. }), put @ Err(_)) => put,
                    (Err(error), _) => Err(error),
                    (Ok(()), put) => put,
                };
            }
        };
        zygote.put(&root, number, placement, owner, archive).await
    }
}

/// In the words of who wrote the Dockerfile.
fn told(error: TransferError, part: &Part, place: Place) -> BuildFailure {
    let mut failure = BuildFailure::transfer(place, &error);
    if let (TransferError::Missing { .. }, Part::Files(selection, from)) = (&error, part) {
        let (whose, help) = match from {
            From::Context => (
                "in the context",
                "paths are from the context, whatever directory the Dockerfile is in; `.dockerignore` hides files",
            ),
            From::Root(_) => ("in what `--from` names", "paths are from its root"),
        };
        failure.problem.message.push_str(&format!(" {whose}"));
        if !selection.sources.is_empty() {
            failure.problem.help = Some(help.to_owned());
        }
    }
    failure
}

fn is_address(source: &str) -> bool {
    let is = |scheme: &str| source.starts_with(scheme);
    is("http://") || is("https://") || is("ftp://") || is("git@") || is("git://") || is("ssh://")
}

/// Nothing is fetched behind a build's back: what is fetched is fetched by a command, on the build's own network.
fn remote(source: &str, add: &Transfer, place: Place) -> BuildFailure {
    let message = format!("`ADD` does not fetch `{source}`");
    let mut failure = BuildFailure::mistake(place, message);
    failure.problem.help = Some(match &add.checksum {
        Some(_) => "fetch it with `RUN`, and check it there: `sha256sum -c`".to_owned(),
        None => "fetch it with `RUN`, which has the build's network".to_owned(),
    });
    failure
}

/// A hash that several hold.
#[derive(Clone, Default)]
struct Hash(Arc<Mutex<sha2::Sha256>>);

impl Hash {
    fn add(&self, bytes: &[u8]) {
        let mut hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hash.update(bytes);
    }

    fn finish(&self) -> String {
        let hash = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = hash.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe: where to read, and where to write.
pub(super) fn pipe(place: Place) -> Result<(OwnedFd, OwnedFd), BuildFailure> {
    pipe_of_ours().map_err(|error| BuildFailure::internal(place, &error))
}

fn pipe_of_ours() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // Smaller is only slower.
    let _ = fcntl_setpipe_size(&writer, PIPE);
    Ok((reader, writer))
}
