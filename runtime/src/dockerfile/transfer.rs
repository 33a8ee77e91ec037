//! `COPY` and `ADD`.

use super::flags::Flags;
use super::heredoc;
use super::instruction::{Content, Transfer};
use super::node::Node;
use super::place::Problem;

pub(super) fn read(node: &Node, flags: &mut Flags, is_add: bool) -> Result<Transfer, Problem> {
    let keyword = node.keyword.to_ascii_uppercase();
    let [words @ .., target] = node.words.as_slice() else {
        return Err(Problem::new(
            node.place,
            format!("`{keyword}` says nothing"),
        ));
    };
    if words.is_empty() {
        let message = format!("`{keyword}` takes what to copy, and where to");
        return Err(Problem::new(node.words_place, message).help(format!("{keyword} FROM.. TO")));
    }
    let is_heredoc = |word: &str| !node.is_json && heredoc::parse(word).is_ok_and(|h| h.is_some());
    if is_heredoc(target) {
        let message = format!("`{keyword}` cannot copy to a heredoc");
        return Err(Problem::new(node.words_place, message));
    }
    let (here, sources): (Vec<_>, Vec<_>) =
        words.iter().cloned().partition(|word| is_heredoc(word));
    if !here.is_empty() && here.len() != node.heredocs.len() {
        let message = "the heredocs of this line and the texts that follow it are not as many";
        return Err(Problem::new(node.words_place, message));
    }
    let contents = node.heredocs.iter().map(|heredoc| Content {
        name: heredoc.name.clone(),
        text: heredoc.text(),
        expands: heredoc.expands,
    });
    // Layers are kept apart anyway.
    flags.switch("link")?;
    let mut transfer = Transfer {
        sources,
        contents: if here.is_empty() {
            Vec::new()
        } else {
            contents.collect()
        },
        target: target.clone(),
        from: None,
        chown: flags.value("chown")?.map(|(value, _)| value),
        chmod: flags.value("chmod")?,
        checksum: None,
        unpack: None,
        exclude: flags
            .values("exclude")?
            .into_iter()
            .map(|(value, _)| value)
            .collect(),
        parents: false,
    };
    if is_add {
        transfer.checksum = flags.value("checksum")?.map(|(value, _)| value);
        transfer.unpack = flags.switch("unpack")?.map(|(on, _)| on);
        flags.switch("keep-git-dir")?;
    } else {
        transfer.from = flags.value("from")?;
        transfer.parents = flags.switch("parents")?.is_some_and(|(on, _)| on);
    }
    Ok(transfer)
}
