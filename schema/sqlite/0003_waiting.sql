-- Runs that wait: for a time, for an event, for a person.  What comes for them is rows of its own, because whoever
-- brings it is not the one who drives the run.

CREATE TABLE answer (                             -- what ended a wait; the first one counts, and there is no second
  task_run_id    INTEGER NOT NULL REFERENCES task_run (id) ON DELETE CASCADE,
  attempt        INTEGER NOT NULL,                -- the attempt of the task that asked
  action         TEXT    NOT NULL CHECK (action IN ('accept', 'decline', 'cancel', 'event', 'expired')),
  content        TEXT    NOT NULL CHECK (json_valid(content)),
  answered_at    INTEGER NOT NULL,
  PRIMARY KEY (task_run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE sent_event (                         -- an event that was sent to a run before anything in it waited for it
  id             INTEGER PRIMARY KEY,
  run_id         INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  name           TEXT    NOT NULL,
  content        TEXT    NOT NULL CHECK (json_valid(content)),
  sent_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX sent_event_run ON sent_event (run_id, name, id);

-- The task runs that wait.  An index of them on task_run would be asked at each change of any task's status.
CREATE TABLE waiting (
  task_run_id    INTEGER PRIMARY KEY REFERENCES task_run (id) ON DELETE CASCADE
) STRICT;
