-- The job queues.  A job is claimed under the write lock, so one worker has it; the number of the claim fences whatever
-- that worker writes later.  A job is never deleted when it is taken, only when what is kept of it has had its time.

CREATE TABLE queue (
  id             INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL,
  scope          TEXT    NOT NULL CHECK (json_valid(scope)),         -- whose it is, as canonical JSON; {}: everybody's
  paused_at      INTEGER,                         -- nothing is claimed while this is set
  settings       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
  created_at     INTEGER NOT NULL,
  UNIQUE (name, scope)
) STRICT;

CREATE TABLE job (
  id             INTEGER PRIMARY KEY,             -- counts up over all queues, and no number is used twice
  queue_id       INTEGER NOT NULL REFERENCES queue (id),
  handler        TEXT    NOT NULL,                -- the name of the function that does it
  status         TEXT    NOT NULL                 -- not IN: SQLite would build a table of the five at each write, 1.4 µs
                 CHECK (status = 'pending' OR status = 'running' OR status = 'completed' OR status = 'failed'
                        OR status = 'aborted'),
  priority       INTEGER NOT NULL,                -- larger first, then in the order of the ids
  run_after      INTEGER,                         -- pending, and not before then; NULL: as soon as a worker is free
  waits_for      INTEGER NOT NULL DEFAULT 0,      -- how many of the jobs it needs are not completed
  attempt        INTEGER NOT NULL DEFAULT 0,      -- how often it was started, counted when it is claimed
  claim          INTEGER NOT NULL DEFAULT 0,      -- +1 at each claim; a write with an old number is refused
  session_id     INTEGER,                         -- who runs it, or ran it last: looking it up is a third of a claim
  input          TEXT    NOT NULL,                -- JSON, parameters → values
  output         TEXT,                            -- JSON {"output": value}
  error          TEXT,                            -- JSON {"type", "message", "trace"}: of the last attempt
  max_attempts   INTEGER NOT NULL,
  created_at     INTEGER NOT NULL,
  started_at     INTEGER,
  finished_at    INTEGER,
  deadline_at    INTEGER,                         -- failed when it is not finished by then
  key            TEXT,                            -- at most one unfinished job of a queue has it
  group_name     TEXT,
  cost           INTEGER NOT NULL DEFAULT 1,      -- what a budget of the queue loses by it: tokens, say
  options        TEXT,                            -- JSON, what differs from the queue's settings
  progress       TEXT,                            -- JSON {"percent", "message", "details"}
  abort_reason   TEXT,                            -- somebody wants it to stop while it runs
  delete_at      INTEGER                          -- when nothing of it need be kept any more
) STRICT;

CREATE INDEX job_ready ON job (queue_id, priority DESC, id)
  WHERE status = 'pending' AND run_after IS NULL AND waits_for = 0;
CREATE INDEX job_deferred ON job (queue_id, run_after) WHERE run_after IS NOT NULL;
CREATE UNIQUE INDEX job_key ON job (queue_id, key) WHERE key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX job_group ON job (group_name) WHERE group_name IS NOT NULL;
CREATE INDEX job_deadline ON job (deadline_at) WHERE deadline_at IS NOT NULL AND finished_at IS NULL;
CREATE INDEX job_kept ON job (delete_at) WHERE delete_at IS NOT NULL;

CREATE TABLE last_job (                           -- set when the newest job is deleted, so that its number stays used
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  job_id         INTEGER NOT NULL
) STRICT;

CREATE TABLE job_attempt (                        -- the attempts that did not complete their job
  job_id         INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  claim          INTEGER NOT NULL,
  attempt        INTEGER NOT NULL,
  outcome        TEXT    NOT NULL CHECK (outcome IN ('failed', 'timed out', 'crashed', 'aborted', 'returned', 'limited')),
  error          TEXT,
  started_at     INTEGER NOT NULL,
  ended_at       INTEGER NOT NULL,
  PRIMARY KEY (job_id, claim)
) STRICT, WITHOUT ROWID;

CREATE TABLE job_dependency (                     -- a job that waits until others are completed
  needs_id       INTEGER NOT NULL,
  job_id         INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  PRIMARY KEY (needs_id, job_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_dependency_job ON job_dependency (job_id);

-- Who takes jobs.  A worker's running jobs have numbers from jobs_from on: an index of them would be written at every
-- claim, and is only needed when a worker has died.
CREATE TABLE worker (
  id             INTEGER PRIMARY KEY,
  session_id     INTEGER NOT NULL REFERENCES session (id),
  queues         TEXT    NOT NULL CHECK (json_valid(queues)),        -- their names
  handlers       TEXT    NOT NULL CHECK (json_valid(handlers)),      -- the names that it knows
  concurrency    INTEGER NOT NULL,
  jobs_from      INTEGER NOT NULL,
  started_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX worker_session ON worker (session_id);

-- A lease is measured on the clock that every process of a machine shares and nobody can set: milliseconds since it
-- was started.
ALTER TABLE session ADD COLUMN beat INTEGER NOT NULL DEFAULT 0;
