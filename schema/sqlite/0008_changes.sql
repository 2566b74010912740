-- What happened to jobs and runs, in the order of the commits, for those who follow from any process.  A row for each
-- change costs more than the change itself, so they are written only while somebody wants them.

CREATE TABLE change_log (                         -- a row while changes are kept, none otherwise
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  first_seq      INTEGER NOT NULL,                -- from this number on nothing is missing
  keep_for       INTEGER NOT NULL CHECK (keep_for > 0),              -- milliseconds
  keep_rows      INTEGER NOT NULL CHECK (keep_rows > 0)
) STRICT;

CREATE TABLE change (
  seq            INTEGER PRIMARY KEY,             -- counts up without a gap; the newest row always stays
  at             INTEGER NOT NULL,
  kind           TEXT    NOT NULL,                -- 'added', 'started', … ; 'kept': from here on
  old_status     TEXT,                            -- NULL: it was not there before
  new_status     TEXT,                            -- NULL: it is not there any more
  job_id         INTEGER,
  queue_id       INTEGER,
  attempt        INTEGER,
  run            TEXT,                            -- the run's uid
  data           TEXT                             -- JSON: a progress, or an error without its trace
) STRICT;
