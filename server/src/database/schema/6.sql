-- What its events have together, bytes; of those that came before nothing is counted.
ALTER TABLE attempts ADD COLUMN event_bytes BIGINT NOT NULL DEFAULT 0;
-- Jobs that are not over are counted by their pipelines.
CREATE INDEX pipelines_open ON pipelines (id) WHERE state <> 'finished';
