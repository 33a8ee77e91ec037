-- What attempts that are finished have left for others to fetch. The archive of each is their stream `artifact-NAME`.
CREATE TABLE artifacts (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    files BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    expired BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (job, attempt, name)
);
CREATE INDEX artifacts_due ON artifacts (expires_at) WHERE expired = 0 AND expires_at IS NOT NULL;
