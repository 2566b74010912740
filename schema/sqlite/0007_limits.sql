-- Limiters: when the next start is allowed.  All that a limiter knows is in its row, which the transaction of a claim
-- reads and writes, so whatever number of processes share it, none starts too early.

CREATE TABLE limiter (
  id             INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL,
  scope          TEXT    NOT NULL CHECK (json_valid(scope)),         -- whose it is, as canonical JSON; {}: everybody's
  queue_id       INTEGER UNIQUE REFERENCES queue (id),               -- it is the own limiter of that queue
  rules          TEXT    NOT NULL CHECK (json_valid(rules)),         -- a list of objects with a "kind"; all must allow
  state          TEXT    NOT NULL DEFAULT '[]',                      -- JSON, an object for each of the rules
  boot           TEXT    NOT NULL,                -- the machine and its start by whose monotonic clock it is timed …
  shift          INTEGER NOT NULL,                -- … and what to add to that for the limiter's own time, milliseconds
  seen           INTEGER NOT NULL,                -- the limiter's own time when it was last written; never goes back
  seen_at        INTEGER NOT NULL,                -- what the wall clock said then
  hold_until     INTEGER,                         -- nothing starts before then, in the limiter's own time
  hold_reason    TEXT,
  strikes        INTEGER NOT NULL DEFAULT 0,      -- how often in a row it was told "too many requests"
  struck_at      INTEGER,                         -- wall clock
  created_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX limiter_name ON limiter (name, scope) WHERE queue_id IS NULL;

CREATE TABLE limiter_slot (                       -- who counts at this moment; gone when the job or its process is
  job_id         INTEGER NOT NULL,                -- 0: not a job's
  number         INTEGER NOT NULL,                -- the claim of the job, else a number of the session's own
  limiter_id     INTEGER NOT NULL REFERENCES limiter (id) ON DELETE CASCADE,
  session_id     INTEGER NOT NULL REFERENCES session (id),
  taken_at       INTEGER NOT NULL,                -- in the limiter's own time
  cost           INTEGER NOT NULL,                -- what was reserved
  PRIMARY KEY (job_id, number, limiter_id, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX limiter_slot_limiter ON limiter_slot (limiter_id);

ALTER TABLE queue ADD COLUMN limiters TEXT;       -- a JSON list of their ids; NULL: nothing limits it
