//! The tables of the reference page.

use super::tables;
use crate::parse::{Row, Vocabulary};

/// Where a table starts in the page, its name behind it, and where it ends.
const START: &str = "<!-- keys of ";
const END: &str = "<!-- end of keys -->";

/// A page without a place for a table, or with a place that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the page has no `{START}{0} -->` with an `{END}` behind it")]
pub struct MissingTable(
    /// The table's name.
    pub &'static str,
);

/// The page with every table as it should be: between `<!-- keys of NAME -->` and `<!-- end of keys -->`.
///
/// # Errors
/// When there is no place for a table.
pub fn reference(page: &str) -> Result<String, MissingTable> {
    let mut page = page.to_owned();
    for table in tables() {
        let start = format!("{START}{} -->\n", table.name());
        let at = page.find(&start).map(|at| at + start.len());
        let end = at.and_then(|at| Some(at + page[at..].find(END)?));
        let (Some(at), Some(end)) = (at, end) else {
            return Err(MissingTable(table.name()));
        };
        page.replace_range(at..end, &markdown(table));
    }
    Ok(page)
}

fn markdown(table: &dyn Vocabulary) -> String {
    let rows: String = table.rows().iter().map(row).collect();
    format!("| key | type | default | meaning | example |\n|---|---|---|---|---|\n{rows}")
}

fn row(row: &Row) -> String {
    let default = match row.default {
        "" if row.required => "required",
        default => default,
    };
    let later = match row.later {
        true => " Not carried out yet.",
        false => "",
    };
    let cells = [
        format!("`{}`", row.name),
        row.words.to_owned(),
        default.to_owned(),
        format!("{}{later}", row.meaning),
        format!("`{}`", row.example),
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}
