-- Values that only a key of the server's opens, each bound to its repository and name.
CREATE TABLE secrets (
    id {id},
    -- The repository's URL; empty for the whole server.
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed {blob} NOT NULL,
    -- What pipelines that have it run for, and their branches; JSON, empty for all.
    events TEXT NOT NULL,
    branches TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT NOT NULL,
    UNIQUE (repository, name)
);

-- A person has to agree before it starts: it is of a fork.
ALTER TABLE pipelines ADD COLUMN approval BIGINT NOT NULL DEFAULT 0;
