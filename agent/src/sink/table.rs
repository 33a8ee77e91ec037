//! Columns.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::Style;
use super::style::Tone;

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Option<Tone>,
    pub(super) align: Align,
}

/// To which side a cell's text is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl Cell {
    pub(super) const fn left(text: String) -> Self {
        Self {
            text,
            tone: None,
            align: Align::Left,
        }
    }

    pub(super) const fn right(text: String) -> Self {
        Self {
            text,
            tone: None,
            align: Align::Right,
        }
    }
}

/// Writes `rows` of equally many cells, columns two spaces apart, nothing behind the last text of a row.
pub(super) fn write<const N: usize>(
    rows: &[[Cell; N]],
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.text.width().max(*width);
        }
    }
    for row in rows {
        let mut gap = 0;
        for (cell, width) in row.iter().zip(widths) {
            let padding = width - cell.text.width();
            if cell.align == Align::Right {
                gap += padding;
            }
            if !cell.text.is_empty() {
                write!(out, "{:gap$}", "")?;
                gap = 0;
                match cell.tone {
                    Some(tone) => write!(out, "{}", style.paint(tone, &cell.text))?,
                    None => out.write_all(cell.text.as_bytes())?,
                }
            }
            if cell.align == Align::Left {
                gap += padding;
            }
            gap += 2;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}
