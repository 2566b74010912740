-- Tasks that a worker of a queue does, and runs that workers drive.

ALTER TABLE job ADD COLUMN task_run_id INTEGER REFERENCES task_run (id) ON DELETE CASCADE;  -- the task that waits for it
ALTER TABLE job ADD COLUMN task_attempt INTEGER;                                            -- in this attempt

CREATE INDEX job_task ON job (task_run_id) WHERE task_run_id IS NOT NULL;

CREATE TABLE submitted_run (                      -- a run that workers go on with whenever something has come for it
  run_id         INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
  queue_id       INTEGER NOT NULL REFERENCES queue (id),
  job_id         INTEGER NOT NULL                 -- the newest job that is to drive it
) STRICT;

-- What a job came to is an answer, too.
CREATE TABLE answer_before AS SELECT * FROM answer;
DROP TABLE answer;

CREATE TABLE answer (                             -- what ended a wait; the first one counts, and there is no second
  task_run_id    INTEGER NOT NULL REFERENCES task_run (id) ON DELETE CASCADE,
  attempt        INTEGER NOT NULL,                -- the attempt of the task that asked
  turn           INTEGER NOT NULL CHECK (turn >= 1),  -- 1 for the first thing that the task waited for, then 2, …
  action         TEXT    NOT NULL CHECK (action IN ('accept', 'decline', 'cancel', 'event', 'expired', 'job')),
  content        TEXT    NOT NULL CHECK (json_valid(content)),
  question       TEXT    CHECK (question IS NULL OR json_valid(question)),  -- the state of the task when the answer came
  answered_at    INTEGER NOT NULL,
  PRIMARY KEY (task_run_id, attempt, turn)
) STRICT, WITHOUT ROWID;

INSERT INTO answer SELECT * FROM answer_before;
DROP TABLE answer_before;
