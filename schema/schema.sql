-- What a file of the newest format holds, made from schema/sqlite/ by workglow.file.schema_sql().

CREATE TABLE project (
  id             INTEGER PRIMARY KEY CHECK (id = 1),
  uid            TEXT    NOT NULL,                -- survives copies; idempotency keys derive from it
  created_at     INTEGER NOT NULL,
  created_by     TEXT    NOT NULL,                -- 'workglow 0.1.0, SQLite 3.54.1'
  state          TEXT    NOT NULL CHECK (state IN ('closed', 'open')),
  generation     INTEGER NOT NULL,                -- +1 each time the file goes from closed to open
  cycle          INTEGER NOT NULL DEFAULT 0,      -- +1 before each checkpoint: the last the main file heard of
  sealed         INTEGER NOT NULL DEFAULT 0,      -- the cycle whose checkpoint was complete; ties log and main file
  place          TEXT    NOT NULL DEFAULT '',     -- host and inode of the file that was opened; a copy has others
  settings       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(settings))
) STRICT;

CREATE TABLE migration (
  number         INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL,
  sha256         TEXT    NOT NULL CHECK (length(sha256) = 64),
  applied_at     INTEGER NOT NULL,
  applied_by     TEXT    NOT NULL
) STRICT;

CREATE TABLE session (
  id             INTEGER PRIMARY KEY,
  host           TEXT    NOT NULL,                -- machine name, for people
  boot           TEXT    NOT NULL,                -- differs on another machine and after a reboot
  pid            INTEGER NOT NULL,
  pid_started    TEXT    NOT NULL,                -- defeats the reuse of process numbers
  started_at     INTEGER NOT NULL,
  heartbeat_at   INTEGER NOT NULL,
  lease          INTEGER NOT NULL CHECK (lease > 0),  -- milliseconds a silent session counts as alive
  ended_at       INTEGER,
  ended_by       TEXT CHECK (ended_by IN ('clean', 'crashed', 'moved', 'lease')), beat INTEGER NOT NULL DEFAULT 0,
  CHECK ((ended_at IS NULL) = (ended_by IS NULL))
) STRICT;

CREATE INDEX session_open ON session (id) WHERE ended_at IS NULL;

CREATE TABLE value (
  id             INTEGER PRIMARY KEY,
  hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),  -- SHA-256 of kind, '\n', decoded bytes
  kind           TEXT    NOT NULL,                -- 'json', 'text', 'bytes', 'array <f4 3,256', 'image png', …
  encoding       TEXT    NOT NULL CHECK (encoding IN ('raw', 'zlib')),
  size           INTEGER NOT NULL CHECK (size >= 0),                 -- decoded bytes
  data           BLOB    NOT NULL
) STRICT;

CREATE TABLE graph (
  id             INTEGER PRIMARY KEY,
  hash           TEXT    NOT NULL UNIQUE CHECK (length(hash) = 64),  -- SHA-256 of the canonical JSON
  extra          TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(extra)),  -- what the JSON holds beside tasks and dataflows
  created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE graph_task (
  graph_id       INTEGER NOT NULL REFERENCES graph (id) ON DELETE CASCADE,
  task_id        TEXT    NOT NULL,
  position       INTEGER NOT NULL,                -- order of definition
  definition     TEXT    NOT NULL CHECK (json_valid(definition)),    -- {"type": …, "config": …, "defaults": …, "subgraph": …}
  PRIMARY KEY (graph_id, task_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE dataflow (
  graph_id       INTEGER NOT NULL REFERENCES graph (id) ON DELETE CASCADE,
  target_id      TEXT    NOT NULL,
  position       INTEGER NOT NULL,                -- order of definition
  target_port    TEXT    NOT NULL,
  source_id      TEXT    NOT NULL,
  source_port    TEXT    NOT NULL,
  transforms     TEXT    CHECK (transforms IS NULL OR json_valid(transforms)),
  PRIMARY KEY (graph_id, target_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX dataflow_source ON dataflow (graph_id, source_id);

CREATE TABLE graph_name (                         -- a movable name for a graph
  name           TEXT    PRIMARY KEY,
  graph_id       INTEGER NOT NULL REFERENCES graph (id),
  updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX graph_name_graph ON graph_name (graph_id);

CREATE TABLE run (
  id             INTEGER PRIMARY KEY,
  uid            TEXT    NOT NULL UNIQUE,         -- what people and programs call it; sorts by time
  graph_id       INTEGER NOT NULL REFERENCES graph (id),
  -- One by one: IN would build a table at each write.
  status         TEXT    NOT NULL CHECK (status = 'pending' OR status = 'running' OR status = 'waiting'
                                         OR status = 'completed' OR status = 'failed' OR status = 'aborted'),
  session_id     INTEGER REFERENCES session (id), -- who drives it; NULL: nobody
  epoch          INTEGER NOT NULL DEFAULT 0,      -- +1 at each takeover; a write with an old epoch is refused
  input          TEXT    NOT NULL CHECK (json_valid(input)),
  output         TEXT    CHECK (output IS NULL OR json_valid(output)),
  error          TEXT    CHECK (error IS NULL OR json_valid(error)),
  options        TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(options)),
  versions       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(versions)),  -- task type → version of its code
  forked_from    INTEGER REFERENCES run (id) ON DELETE SET NULL,
  open_from      INTEGER NOT NULL DEFAULT 0,      -- task runs with a smaller id are finished, or only hold others
  created_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  CHECK ((finished_at IS NOT NULL) = (status = 'completed' OR status = 'failed' OR status = 'aborted'))
) STRICT;

CREATE INDEX run_open   ON run (id)          WHERE finished_at IS NULL;

CREATE INDEX run_graph  ON run (graph_id);

CREATE INDEX run_forked ON run (forked_from) WHERE forked_from IS NOT NULL;

CREATE TABLE task_run (
  id             INTEGER PRIMARY KEY,
  run_id         INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  path           TEXT    NOT NULL,                -- 'summary', or inside a loop 'map[3]/summary'
  status         TEXT    NOT NULL CHECK (status = 'pending' OR status = 'running' OR status = 'waiting'
                                         OR status = 'completed' OR status = 'failed' OR status = 'aborted'
                                         OR status = 'disabled'),
  attempt        INTEGER NOT NULL,                -- how often it was started, counted before it starts
  started_at     INTEGER,
  finished_at    INTEGER,
  wake_at        INTEGER,                         -- pending or waiting until then
  output         TEXT,                            -- JSON, ports → values
  error          TEXT,                            -- JSON {"type", "message", "trace"}
  state          TEXT,                            -- JSON: how far a loop has come, which ports are inactive
  usage          TEXT,                            -- JSON {"seconds", "input_tokens", …}
  cache_key      BLOB,                            -- what the output cache finds it by
  source_id      INTEGER REFERENCES task_run (id) ON DELETE SET NULL, model TEXT,  -- the task run whose output was reused
  CHECK (status <> 'completed' OR output IS NOT NULL),
  CHECK ((finished_at IS NOT NULL)
         = (status = 'completed' OR status = 'failed' OR status = 'aborted' OR status = 'disabled'))
) STRICT;

CREATE UNIQUE INDEX task_run_path  ON task_run (run_id, path);

CREATE INDEX task_run_cache        ON task_run (cache_key) WHERE cache_key IS NOT NULL;

CREATE INDEX task_run_source       ON task_run (source_id) WHERE source_id IS NOT NULL;

CREATE TABLE task_output (                        -- cached outputs that no longer, or never, belonged to a run
  cache_key      BLOB    PRIMARY KEY,
  type           TEXT    NOT NULL,
  output         TEXT    NOT NULL CHECK (json_valid(output)),
  created_at     INTEGER NOT NULL
, model TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX task_output_age ON task_output (created_at);

CREATE TABLE stream_chunk (                       -- what a streaming task said so far; dropped when its output is stored
  task_run_id    INTEGER NOT NULL REFERENCES task_run (id) ON DELETE CASCADE,
  attempt        INTEGER NOT NULL,
  seq            INTEGER NOT NULL,
  port           TEXT    NOT NULL,
  kind           TEXT    NOT NULL CHECK (kind IN ('append', 'replace', 'object')),
  data           TEXT    NOT NULL,
  at             INTEGER NOT NULL,
  PRIMARY KEY (task_run_id, attempt, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  id             INTEGER PRIMARY KEY,
  at             INTEGER NOT NULL,
  run_id         INTEGER REFERENCES run (id) ON DELETE CASCADE,
  path           TEXT,
  kind           TEXT    NOT NULL,
  data           TEXT    CHECK (data IS NULL OR json_valid(data))
) STRICT;

CREATE INDEX event_run ON event (run_id, id) WHERE run_id IS NOT NULL;

CREATE TABLE knowledge_base (
  id             INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL UNIQUE,
  model          TEXT    NOT NULL,                -- the embedding model; every vector in here is its
  dimensions     INTEGER NOT NULL CHECK (dimensions > 0),
  created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE document (
  id             INTEGER PRIMARY KEY,
  base_id        INTEGER NOT NULL REFERENCES knowledge_base (id),
  name           TEXT    NOT NULL,                -- path or address, as the caller gave it
  title          TEXT    NOT NULL,
  media_type     TEXT    NOT NULL,
  hash           TEXT    NOT NULL CHECK (length(hash) = 64),  -- SHA-256 of the document and of how it is cut
  metadata       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
  updated_at     INTEGER NOT NULL,
  UNIQUE (base_id, name)
) STRICT;

CREATE TABLE chunk (
  id             INTEGER PRIMARY KEY,
  document_id    INTEGER NOT NULL REFERENCES document (id),
  position       INTEGER NOT NULL,
  key            TEXT    NOT NULL,                -- from the content: the same text in the same document keeps its key
  place          TEXT    NOT NULL,                -- heading path or page, for people
  start_at       INTEGER NOT NULL,                -- characters from the start of the document's text
  end_at         INTEGER NOT NULL,
  text           TEXT    NOT NULL,
  vector         BLOB    NOT NULL,                -- little-endian float32, unit length, or zeros for a text without words
  UNIQUE (document_id, position),
  UNIQUE (document_id, key),
  CHECK (0 <= start_at AND start_at <= end_at)
) STRICT;

CREATE VIRTUAL TABLE chunk_text USING fts5 (
  text, place, content = 'chunk', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE TABLE sent_event (                         -- an event that was sent to a run before anything in it waited for it
  id             INTEGER PRIMARY KEY,
  run_id         INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  name           TEXT    NOT NULL,
  content        TEXT    NOT NULL CHECK (json_valid(content)),
  sent_at        INTEGER NOT NULL
) STRICT;

CREATE INDEX sent_event_run ON sent_event (run_id, name, id);

CREATE TABLE waiting (
  task_run_id    INTEGER PRIMARY KEY REFERENCES task_run (id) ON DELETE CASCADE
) STRICT;

CREATE TABLE graph_version (
  name           TEXT    NOT NULL REFERENCES graph_name (name) ON UPDATE CASCADE ON DELETE CASCADE,
  number         INTEGER NOT NULL CHECK (number >= 1),
  graph_id       INTEGER NOT NULL REFERENCES graph (id),
  note           TEXT    NOT NULL,                -- why, in the words of whoever saved it
  saved_at       INTEGER NOT NULL,
  PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX graph_version_graph ON graph_version (graph_id);

CREATE TABLE queue (
  id             INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL,
  scope          TEXT    NOT NULL CHECK (json_valid(scope)),         -- whose it is, as canonical JSON; {}: everybody's
  paused_at      INTEGER,                         -- nothing is claimed while this is set
  settings       TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(settings)),
  created_at     INTEGER NOT NULL, limiters TEXT,
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
, task_run_id INTEGER REFERENCES task_run (id) ON DELETE CASCADE, task_attempt INTEGER) STRICT;

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

CREATE INDEX job_task ON job (task_run_id) WHERE task_run_id IS NOT NULL;

CREATE TABLE submitted_run (                      -- a run that workers go on with whenever something has come for it
  run_id         INTEGER PRIMARY KEY REFERENCES run (id) ON DELETE CASCADE,
  queue_id       INTEGER NOT NULL REFERENCES queue (id),
  job_id         INTEGER NOT NULL                 -- the newest job that is to drive it
) STRICT;

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

CREATE TABLE credential_key (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  salt       BLOB    NOT NULL CHECK (length(salt) = 16),
  cost       INTEGER NOT NULL CHECK (cost BETWEEN 10 AND 20),  -- scrypt's N is 2 to this; r is 8, p is 1
  nonce      BLOB    NOT NULL CHECK (length(nonce) = 12),
  proof      BLOB    NOT NULL,                                 -- an empty text, sealed: tells a wrong passphrase
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE credential (
  name       TEXT    PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 200),
  label      TEXT    NOT NULL,
  nonce      BLOB    NOT NULL CHECK (length(nonce) = 12),
  sealed     BLOB    NOT NULL,                                 -- AES-256-GCM; the name is authenticated with it
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
