-- What is to be removed from the storage: the transaction that decides it notes it, and whoever comes by does it, until it is done.
CREATE TABLE remains (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    -- `attempt`, `artifacts`, or the name of one stream.
    what TEXT NOT NULL,
    -- When somebody is to see to it.
    due BIGINT NOT NULL,
    -- How often somebody has, since it went well.
    tries BIGINT NOT NULL DEFAULT 0,
    -- It was removed. What was on its way then is removed once more.
    removed BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (job, attempt, what)
);
CREATE INDEX remains_due ON remains (due);
-- Servers before this one forgot what they were at when they ended.
INSERT INTO remains (job, attempt, what, due) SELECT job, attempt, 'artifacts', 0 FROM attempts WHERE state IN ('lost', 'released');

-- Whose it is: there is a limit to all of one repository's.
ALTER TABLE artifacts ADD COLUMN repository BIGINT NOT NULL DEFAULT 0;
UPDATE artifacts SET repository = COALESCE((SELECT p.repository FROM jobs j JOIN pipelines p ON p.id = j.pipeline WHERE j.id = artifacts.job), 0);
CREATE INDEX artifacts_of_repository ON artifacts (repository, created_at) WHERE expired = 0;
