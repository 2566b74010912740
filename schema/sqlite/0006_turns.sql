-- A task may ask several times: each answer belongs to a turn, and says what it answers.

CREATE TABLE answer_before AS SELECT task_run_id, attempt, action, content, answered_at FROM answer;
DROP TABLE answer;

CREATE TABLE answer (                             -- what ended a wait; the first one counts, and there is no second
  task_run_id    INTEGER NOT NULL REFERENCES task_run (id) ON DELETE CASCADE,
  attempt        INTEGER NOT NULL,                -- the attempt of the task that asked
  turn           INTEGER NOT NULL CHECK (turn >= 1),  -- 1 for the first thing that the task waited for, then 2, …
  action         TEXT    NOT NULL CHECK (action IN ('accept', 'decline', 'cancel', 'event', 'expired')),
  content        TEXT    NOT NULL CHECK (json_valid(content)),
  question       TEXT    CHECK (question IS NULL OR json_valid(question)),  -- the state of the task when the answer came
  answered_at    INTEGER NOT NULL,
  PRIMARY KEY (task_run_id, attempt, turn)
) STRICT, WITHOUT ROWID;

INSERT INTO answer (task_run_id, attempt, turn, action, content, question, answered_at)
SELECT task_run_id, attempt, 1, action, content, NULL, answered_at FROM answer_before;
DROP TABLE answer_before;
