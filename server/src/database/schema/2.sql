-- How often in a row it was offered, and nobody has said anything.
ALTER TABLE jobs ADD COLUMN offers BIGINT NOT NULL DEFAULT 0;
-- When it began to wait: when it was made, or was to run again.
ALTER TABLE jobs ADD COLUMN queued_at BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET queued_at = created_at;
ALTER TABLE pipelines ADD COLUMN queued_at BIGINT NOT NULL DEFAULT 0;
UPDATE pipelines SET queued_at = created_at;
CREATE INDEX pipelines_finished ON pipelines (finished_at) WHERE state = 'finished';

-- Grows each time something is heard of it.
ALTER TABLE agents ADD COLUMN beat BIGINT NOT NULL DEFAULT 0;
-- It is for one job.
ALTER TABLE agents ADD COLUMN ephemeral BIGINT NOT NULL DEFAULT 0;
UPDATE agents SET ephemeral = 1 WHERE description LIKE '%"ephemeral":true%';

-- What is known of the whole: where logs are.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
