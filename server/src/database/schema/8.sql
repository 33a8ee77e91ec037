-- The repositories that a user's token is for: patterns, JSON; the whole server without.
ALTER TABLE tokens ADD COLUMN repositories TEXT;
-- Who may see only some repositories is listed their pipelines.
CREATE INDEX pipelines_of_repository ON pipelines (repository, id);
