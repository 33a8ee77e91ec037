-- What jobs keep for later ones. The archive of each is a stream of the attempt that has made it.
CREATE TABLE caches (
    id {id},
    repository BIGINT NOT NULL,
    scope TEXT NOT NULL,
    version TEXT NOT NULL,
    key TEXT NOT NULL,
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    stream TEXT NOT NULL,
    size BIGINT NOT NULL,
    files BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    UNIQUE (repository, scope, version, key)
);
CREATE INDEX caches_used ON caches (used_at);
CREATE INDEX caches_made ON caches (job, attempt);
-- The branch whose caches all jobs of the repository read.
ALTER TABLE repositories ADD COLUMN default_branch TEXT;
