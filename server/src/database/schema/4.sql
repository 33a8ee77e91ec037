-- The end of the run whose trace was exported, or is about to be.
ALTER TABLE pipelines ADD COLUMN traced_at BIGINT;
