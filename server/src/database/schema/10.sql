-- Digests of the full blocks of a stream whose pieces are objects, 32 bytes each: those that became full with one piece. They go on behind those that
-- the stream's row has, which servers before this one wrote anew with each piece.
CREATE TABLE blocks (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    name TEXT NOT NULL,
    first BIGINT NOT NULL,
    digests {blob} NOT NULL,
    PRIMARY KEY (job, attempt, name, first)
);
