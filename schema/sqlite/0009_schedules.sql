-- What is to be done again and again.  Whichever worker finds a schedule due enqueues its job and moves next_at on, in
-- one transaction under the write lock: so each due time has one job, however many workers there are.

CREATE TABLE schedule (
  id             INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL UNIQUE,
  cron           TEXT,                            -- when: an expression, read in the time zone
  timezone       TEXT,
  every          INTEGER CHECK (every > 0),       -- or: milliseconds, counted from start_at
  start_at       INTEGER NOT NULL,
  catch_up       TEXT    NOT NULL CHECK (catch_up IN ('skip', 'one', 'all')),
  queue_id       INTEGER NOT NULL REFERENCES queue (id),
  handler        TEXT    NOT NULL,                -- this and the next seven become the job's
  input          TEXT    NOT NULL,
  priority       INTEGER NOT NULL,
  max_attempts   INTEGER NOT NULL,
  group_name     TEXT,
  cost           INTEGER NOT NULL,
  options        TEXT,
  graph_id       INTEGER REFERENCES graph (id),   -- a graph that the job runs; the input is the run's
  next_at        INTEGER,                         -- NULL: never, or not while it is paused
  paused_at      INTEGER,
  due_at         INTEGER,                         -- the last due time that has a job, and that job
  job_id         INTEGER,
  fired          INTEGER NOT NULL DEFAULT 0,      -- how many jobs it has made
  error          TEXT,                            -- why no next time can be told
  created_at     INTEGER NOT NULL,
  CHECK ((cron IS NULL) = (timezone IS NULL) AND (cron IS NULL) <> (every IS NULL))
) STRICT;
CREATE INDEX schedule_due ON schedule (next_at) WHERE next_at IS NOT NULL;
