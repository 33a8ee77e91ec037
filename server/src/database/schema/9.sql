-- How many bytes of artifacts each repository has: rows that add up, so that nobody who adds some waits for somebody else.
CREATE TABLE artifact_bytes (
    id {id},
    repository BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
CREATE INDEX artifact_bytes_of_repository ON artifact_bytes (repository);
INSERT INTO artifact_bytes (repository, bytes) SELECT repository, SUM(size) FROM artifacts WHERE expired = 0 GROUP BY repository;
-- Those that make no room for others whatever goes.
CREATE INDEX artifacts_by_size ON artifacts (repository, size) WHERE expired = 0;

-- What is still there of what is to be removed is counted.
CREATE INDEX remains_left ON remains (due) WHERE removed = 0;
-- Archives that nothing was said of when their attempts were finished.
INSERT INTO remains (job, attempt, what, due)
SELECT s.job, s.attempt, s.name, 0 FROM streams s JOIN attempts a ON a.job = s.job AND a.attempt = s.attempt
WHERE a.state = 'finished' AND s.name LIKE 'artifact-%'
AND NOT EXISTS (SELECT 1 FROM artifacts r WHERE r.job = s.job AND r.attempt = s.attempt AND s.name = 'artifact-' || r.name)
ON CONFLICT (job, attempt, what) DO NOTHING;
