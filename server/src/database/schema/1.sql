-- Times are Unix milliseconds. Words are those of the protocol. JSON is text: nothing is asked of its insides.

CREATE TABLE repositories (
    id {id},
    url TEXT NOT NULL UNIQUE,
    -- When a job of it was last handed out, as a number that only grows: the next turn is the lowest one's.
    served BIGINT NOT NULL DEFAULT 0
);

-- Jobs of one repository that ask for the same labels wait in one lane.
CREATE TABLE lanes (
    id {id},
    repository BIGINT NOT NULL,
    labels TEXT NOT NULL,
    UNIQUE (repository, labels)
);

-- Groups of `concurrency`, of pipelines and of jobs.
CREATE TABLE groups_of (
    id {id},
    repository BIGINT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (repository, scope, name)
);

CREATE TABLE pipelines (
    id {id},
    repository BIGINT NOT NULL,
    submission TEXT UNIQUE,
    name TEXT,
    source TEXT,
    trigger_of TEXT NOT NULL,
    variables TEXT NOT NULL,
    priority BIGINT NOT NULL,
    state TEXT NOT NULL,
    conclusion TEXT,
    reason TEXT,
    diagnostics TEXT NOT NULL,
    group_of BIGINT,
    cancels BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT
);
CREATE INDEX pipelines_of_group ON pipelines (group_of, id) WHERE group_of IS NOT NULL AND state <> 'finished';

CREATE TABLE jobs (
    id {id},
    pipeline BIGINT NOT NULL,
    place BIGINT NOT NULL,
    name TEXT NOT NULL,
    -- The job as it is planned, without what it does: what the queue needs.
    shape TEXT NOT NULL,
    -- A plan of this job alone: what an agent needs.
    plan TEXT NOT NULL,
    state TEXT NOT NULL,
    conclusion TEXT,
    cause TEXT,
    allowed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    outputs TEXT,
    approved BIGINT NOT NULL DEFAULT 0,
    -- How far somebody has gone in stopping it: 0 not, 1 cancel, 2 abort.
    stopping BIGINT NOT NULL DEFAULT 0,
    -- The cell whose failure stops it.
    stopped_by TEXT,
    lane BIGINT,
    group_of BIGINT,
    -- Its place in its lane: when it was made, less its priority in minutes.
    due BIGINT NOT NULL,
    -- The attempts that were offered, and those that were accepted and lost.
    attempt BIGINT NOT NULL DEFAULT 0,
    lost BIGINT NOT NULL DEFAULT 0,
    agent BIGINT,
    -- Grows with each heartbeat: who watches it without a change for a lease's time knows that its agent is gone.
    beat BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    UNIQUE (pipeline, place)
);
CREATE INDEX jobs_ready ON jobs (lane, due, id) WHERE state = 'ready';
CREATE INDEX jobs_held ON jobs (agent, id) WHERE state IN ('assigned', 'running');
CREATE INDEX jobs_of_group ON jobs (group_of, id) WHERE group_of IS NOT NULL AND state <> 'finished';

CREATE TABLE attempts (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    agent BIGINT NOT NULL,
    state TEXT NOT NULL,
    conclusion TEXT,
    cause TEXT,
    events BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (job, attempt)
);

-- Batches of events, as they came.
CREATE TABLE events (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    first BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (job, attempt, first)
);

-- Streams of logs: of attempts that are over, and where logs are objects of all.
CREATE TABLE streams (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    name TEXT NOT NULL,
    length BIGINT NOT NULL,
    complete BIGINT NOT NULL DEFAULT 0,
    cut_from BIGINT,
    cut_to BIGINT,
    -- Digests of the full blocks so far, 32 bytes each.
    digests {blob},
    PRIMARY KEY (job, attempt, name)
);

-- Pieces of a stream that are objects of their own.
CREATE TABLE pieces (
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    name TEXT NOT NULL,
    start BIGINT NOT NULL,
    length BIGINT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (job, attempt, name, start)
);

CREATE TABLE agents (
    id {id},
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    draining BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id {id},
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    role TEXT,
    -- SHA-256 of the token.
    hash {blob} NOT NULL UNIQUE,
    agent BIGINT,
    uses_left BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
