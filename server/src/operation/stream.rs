//! Streams of logs whose pieces are objects.

use protocol::service::{AttemptId, ProblemCode, StreamName};

use super::attempt::fenced;
use crate::database::{
    DatabaseError, News, OperationError, Row, Transaction, Value, locking, refuse, word,
};
use crate::logs::Retention;
use crate::queue::State;

/// A piece: which bytes, and the object they are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PieceRow {
    pub(crate) start: u64,
    pub(crate) length: u64,
    pub(crate) object: String,
}

/// What became of a piece.
#[derive(Debug)]
pub(crate) enum Appended {
    /// It counts. These objects are not kept any more.
    Kept { thrown_away: Vec<String> },
    /// Somebody else was faster: the stream has this length now.
    Elsewhere { length: u64 },
}

/// How long a stream is.
pub(crate) fn length(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
) -> Result<u64, OperationError> {
    let row = tx.first(
        "SELECT length FROM streams WHERE job = $1 AND attempt = $2 AND name = $3",
        &[id.job.0.into(), id.attempt.into(), word(name)?],
    )?;
    row.map_or(Ok(0), |row| Ok(row.number(0)?))
}

/// Digests of the full blocks of a stream.
pub(crate) fn digests(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
) -> Result<Vec<[u8; 32]>, OperationError> {
    let stream = [id.job.0.into(), id.attempt.into(), word(name)?];
    let mut rows = tx.query(
        "SELECT digests FROM streams WHERE job = $1 AND attempt = $2 AND name = $3",
        &stream,
    )?;
    rows.extend(tx.query(
        "SELECT digests FROM blocks WHERE job = $1 AND attempt = $2 AND name = $3 ORDER BY first",
        &stream,
    )?);
    let mut digests = Vec::new();
    for row in &rows {
        let some = row.maybe_blob(0)?.unwrap_or_default().chunks_exact(32);
        digests.extend(some.filter_map(|digest| <[u8; 32]>::try_from(digest).ok()));
    }
    Ok(digests)
}

/// Blocks that have become full with a piece: which is the first, and their digests.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewBlocks {
    pub(crate) first: u64,
    pub(crate) digests: Vec<[u8; 32]>,
}

/// Looks whether an attempt is going on, which it does until the transaction ends.
fn goes_on(tx: &mut Transaction<'_>, id: AttemptId) -> Result<(), OperationError> {
    let sql = locking!(tx, "SELECT attempt, state FROM jobs WHERE id = $1");
    let job = tx.first(sql, &[id.job.0.into()])?;
    let Some(job) = job else {
        return Err(fenced(id));
    };
    match job.number::<u32>(0)? == id.attempt && job.word::<State>(1)? == State::Running {
        true => Ok(()),
        false => Err(fenced(id)),
    }
}

/// Lets a piece count, when the stream still ends where it starts and its attempt is still going on.
pub(crate) fn append(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
    piece: &PieceRow,
    blocks: &NewBlocks,
    retention: Retention,
) -> Result<Appended, OperationError> {
    goes_on(tx, id)?;
    let stream = [id.job.0.into(), id.attempt.into(), word(name)?];
    tx.execute(
        "INSERT INTO streams (job, attempt, name, length) VALUES ($1, $2, $3, 0) ON CONFLICT (job, attempt, name) DO NOTHING",
        &stream,
    )?;
    let length = length(tx, id, name)?;
    if length != piece.start {
        return Ok(Appended::Elsewhere { length });
    }
    let next = piece.start + piece.length;
    let mut values = stream.to_vec();
    values.extend([
        piece.start.into(),
        piece.length.into(),
        (&piece.object).into(),
    ]);
    tx.execute(
        "INSERT INTO pieces (job, attempt, name, start, length, object) VALUES ($1, $2, $3, $4, $5, $6)",
        &values,
    )?;
    if !blocks.digests.is_empty() {
        let mut values = stream.to_vec();
        let digests = blocks.digests.as_flattened();
        values.extend([blocks.first.into(), Value::from(digests)]);
        tx.execute(
            "INSERT INTO blocks (job, attempt, name, first, digests) VALUES ($1, $2, $3, $4, $5)",
            &values,
        )?;
    }
    let mut values = stream.to_vec();
    values.push(next.into());
    tx.execute(
        "UPDATE streams SET length = $4 WHERE job = $1 AND attempt = $2 AND name = $3",
        &values,
    )?;
    let thrown_away = throw_away(tx, &stream, next, retention)?;
    tx.tell(News::Attempt(id));
    Ok(Appended::Kept { thrown_away })
}

/// Forgets pieces that are behind the head and before the tail.
fn throw_away(
    tx: &mut Transaction<'_>,
    stream: &[Value<'_>; 3],
    length: u64,
    retention: Retention,
) -> Result<Vec<String>, DatabaseError> {
    if length <= retention.bytes() {
        return Ok(Vec::new());
    }
    let mut values = stream.to_vec();
    let tail = length - retention.bytes() / 2;
    values.extend([retention.head().into(), tail.into()]);
    let rows = tx.query(
        "DELETE FROM pieces WHERE job = $1 AND attempt = $2 AND name = $3 AND start >= $4 AND start + length <= $5 \
         RETURNING start, length, object",
        &values,
    )?;
    let pieces: Vec<PieceRow> = rows.iter().map(piece_of).collect::<Result<_, _>>()?;
    let from = pieces.iter().map(|piece| piece.start).min();
    let to = pieces.iter().map(|piece| piece.start + piece.length).max();
    if let (Some(from), Some(to)) = (from, to) {
        let mut values = stream.to_vec();
        values.extend([from.into(), to.into()]);
        tx.execute(
            "UPDATE streams SET cut_from = COALESCE(cut_from, $4), cut_to = $5 WHERE job = $1 AND attempt = $2 AND name = $3",
            &values,
        )?;
    }
    Ok(pieces.into_iter().map(|piece| piece.object).collect())
}

fn piece_of(row: &Row) -> Result<PieceRow, DatabaseError> {
    Ok(PieceRow {
        start: row.number(0)?,
        length: row.number(1)?,
        object: row.text(2)?.to_owned(),
    })
}

/// The piece that a byte is in.
pub(crate) fn piece_at(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
    offset: u64,
) -> Result<Option<PieceRow>, OperationError> {
    let row = tx.first(
        "SELECT start, length, object FROM pieces WHERE job = $1 AND attempt = $2 AND name = $3 AND start <= $4 \
         AND start + length > $4 ORDER BY start DESC LIMIT 1",
        &[
            id.job.0.into(),
            id.attempt.into(),
            word(name)?,
            offset.into(),
        ],
    )?;
    Ok(row.as_ref().map(piece_of).transpose()?)
}

/// All pieces of a stream.
pub(crate) fn pieces(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
) -> Result<Vec<PieceRow>, OperationError> {
    let rows = tx.query(
        "SELECT start, length, object FROM pieces WHERE job = $1 AND attempt = $2 AND name = $3 ORDER BY start",
        &[id.job.0.into(), id.attempt.into(), word(name)?],
    )?;
    Ok(rows.iter().map(piece_of).collect::<Result<_, _>>()?)
}

/// The objects of all streams of an attempt.
pub(crate) fn objects(
    tx: &mut Transaction<'_>,
    id: AttemptId,
) -> Result<Vec<String>, OperationError> {
    let rows = tx.query(
        "SELECT object FROM pieces WHERE job = $1 AND attempt = $2",
        &[id.job.0.into(), id.attempt.into()],
    )?;
    let object = |row: &Row| Ok(row.text(0)?.to_owned());
    rows.iter().map(object).collect()
}

/// Bytes of all archives of an attempt that are of the kind of this one, but this one.
pub(crate) fn archive_bytes(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    but: &StreamName,
) -> Result<u64, OperationError> {
    let kind = match but.is_cache() {
        true => "cache-%",
        false => "artifact-%",
    };
    let row = tx.one(
        "SELECT CAST(COALESCE(SUM(length), 0) AS BIGINT) FROM streams WHERE job = $1 AND attempt = $2 \
         AND name LIKE $4 AND name <> $3",
        &[id.job.0.into(), id.attempt.into(), word(but)?, kind.into()],
    )?;
    Ok(row.number(0)?)
}

/// One piece takes the place of several that follow each other, and that are all still there.
pub(crate) fn replace(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
    old: &[PieceRow],
    new: &PieceRow,
) -> Result<(), OperationError> {
    for piece in old {
        let gone = tx.execute(
            "DELETE FROM pieces WHERE job = $1 AND attempt = $2 AND name = $3 AND start = $4 AND object = $5",
            &[
                id.job.0.into(),
                id.attempt.into(),
                word(name)?,
                piece.start.into(),
                (&piece.object).into(),
            ],
        )?;
        if gone == 0 {
            return refuse(
                ProblemCode::Conflict,
                format!("{} is not kept any more", piece.object),
            );
        }
    }
    tx.execute(
        "INSERT INTO pieces (job, attempt, name, start, length, object) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            id.job.0.into(),
            id.attempt.into(),
            word(name)?,
            new.start.into(),
            new.length.into(),
            (&new.object).into(),
        ],
    )?;
    Ok(())
}

/// Forgets a stream of an attempt that is going on. Its objects are returned.
pub(crate) fn restart(
    tx: &mut Transaction<'_>,
    id: AttemptId,
    name: &StreamName,
) -> Result<Vec<String>, OperationError> {
    goes_on(tx, id)?;
    let stream = [id.job.0.into(), id.attempt.into(), word(name)?];
    let rows = tx.query(
        "DELETE FROM pieces WHERE job = $1 AND attempt = $2 AND name = $3 RETURNING start, length, object",
        &stream,
    )?;
    for rows in [
        "DELETE FROM blocks WHERE job = $1 AND attempt = $2 AND name = $3",
        "DELETE FROM streams WHERE job = $1 AND attempt = $2 AND name = $3",
    ] {
        tx.execute(rows, &stream)?;
    }
    let pieces: Vec<PieceRow> = rows.iter().map(piece_of).collect::<Result<_, _>>()?;
    Ok(pieces.into_iter().map(|piece| piece.object).collect())
}
