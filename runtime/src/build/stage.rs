//! A stage while it is being built.

use std::path::PathBuf;

use serde_json::Value;

use super::config::Draft;
use super::variables::{Args, Globals};
use super::{BuildFailure, News, Request, Tools};
use crate::dockerfile::{Expansion, Instruction, Kind, Place};
use crate::image::Digest;
use crate::store::Made;

/// Of what a cache key is a digest of.
const VERSION: u32 = 2;

/// A stage while it is being built.
pub(super) struct Stage<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) tools: Tools<'a>,
    pub(super) globals: &'a mut Globals,
    pub(super) expansion: Expansion,
    pub(super) args: Args,
    pub(super) draft: Draft,
}

impl Stage<'_> {
    /// Replaces variables.
    pub(super) fn expand(&self, text: &str, place: Place) -> Result<String, BuildFailure> {
        let word = self.expansion.word(text, &|name| self.variable(name));
        word.map_err(|error| BuildFailure::mistake(place, error.to_string()))
    }

    pub(super) fn expand_words(
        &self,
        text: &str,
        place: Place,
    ) -> Result<Vec<String>, BuildFailure> {
        let words = self.expansion.words(text, &|name| self.variable(name));
        words.map_err(|error| BuildFailure::mistake(place, error.to_string()))
    }

    /// What the image says goes before what it was built with.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.draft.env(name).or_else(|| self.args.get(name))
    }

    /// Carries out one instruction.
    pub(super) async fn instruction(
        &mut self,
        instruction: &Instruction,
        from: &super::from::Sources<'_>,
    ) -> Result<(), BuildFailure> {
        match &instruction.kind {
            Kind::Run(run) => self.run(instruction, run).await,
            Kind::Copy(copy) => self.copy(instruction, copy, from).await,
            Kind::Add(add) => self.add(instruction, add).await,
            Kind::Workdir(path) => self.enter(instruction, path).await,
            _ => {
                self.say(instruction)?;
                self.draft.record(&instruction.source, None);
                Ok(())
            }
        }
    }

    async fn enter(&mut self, instruction: &Instruction, path: &str) -> Result<(), BuildFailure> {
        let place = instruction.words_place;
        let path = self.expand(path, place)?;
        if path.is_empty() {
            return Err(BuildFailure::mistake(place, "the directory has no name"));
        }
        self.draft.directory = joined(&self.draft.directory, &path);
        let key = self
            .key(&serde_json::json!({ "workdir": self.draft.directory, "user": self.draft.user }));
        let made = match self.cached(&key, place).await? {
            Some(made) => made,
            None => {
                let zygote = self.tools.zygote;
                let number = zygote.fresh();
                let made = zygote
                    .make(
                        &self.draft.root(),
                        number,
                        self.draft.directory.as_ref(),
                        self.draft.user.clone(),
                    )
                    .await;
                let layer = match made {
                    Ok(true) => Some(self.commit(number, None, place).await?),
                    Ok(false) => None,
                    Err(error) => {
                        zygote.forget(number).await;
                        return Err(BuildFailure::transfer(place, &error));
                    }
                };
                zygote.forget(number).await;
                self.keep(&key, layer, place)?
            }
        };
        self.record(&instruction.source, &made);
        Ok(())
    }

    /// Makes what is kept under a number a layer. A container that has run on it had these mounts.
    pub(super) async fn commit(
        &self,
        number: u64,
        of_container: Option<Vec<PathBuf>>,
        place: Place,
    ) -> Result<Digest, BuildFailure> {
        let Tools { zygote, store, .. } = self.tools;
        let (reader, writer) = super::copy::pipe(place)?;
        let packing = async move {
            let packed = zygote.pack_kept(number, of_container, writer).await;
            packed.map(drop)
        };
        let layer = store.commit_layer(reader, Box::pin(packing), zygote).await;
        layer.map_err(|error| BuildFailure::commit(place, &error))
    }

    /// A digest of all that something is made from: what is below it, and what is said here.
    pub(super) fn key(&self, what: &Value) -> Digest {
        let all = serde_json::json!({
            "version": VERSION,
            "layers": self.draft.layers,
            "what": what,
        });
        Digest::of(all.to_string().as_bytes())
    }

    /// What was made before, if that may be taken.
    pub(super) async fn cached(
        &self,
        key: &Digest,
        place: Place,
    ) -> Result<Option<Made>, BuildFailure> {
        if !self.request.uses_cache {
            return Ok(None);
        }
        let made = self.tools.store.made(key).await;
        let made = made.map_err(|error| BuildFailure::internal(place, &error))?;
        if made.is_some() {
            self.tools.host.say(News::Cached);
        }
        Ok(made)
    }

    /// Writes down what was made.
    pub(super) fn keep(
        &self,
        key: &Digest,
        layer: Option<Digest>,
        place: Place,
    ) -> Result<Made, BuildFailure> {
        let made = Made {
            layer,
            created: super::now(),
        };
        let kept = self.tools.store.keep_made(key, &made);
        kept.map_err(|error| BuildFailure::internal(place, &error))?;
        Ok(made)
    }

    pub(super) fn record(&mut self, by: &str, made: &Made) {
        let layer = made.layer.map(|layer| (layer, made.created.as_str()));
        self.draft.record(by, layer);
    }
}

/// A path from a directory, clean: `..` leads no further up than to the root.
pub(super) fn joined(directory: &str, path: &str) -> String {
    let whole = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    };
    let mut names: Vec<&str> = Vec::new();
    for name in whole.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_add_up() {
        assert_eq!(joined("/", "a"), "/a");
        assert_eq!(joined("/a", "b/../c"), "/a/c");
        assert_eq!(joined("/a", "/b/"), "/b");
        assert_eq!(joined("/a", "../../.."), "/");
    }
}
