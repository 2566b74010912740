-- A project file: who has it open, what graphs it holds, what ran and what came out.
-- Read schema/README.md first.  Times are INTEGER milliseconds since 1970 (UTC), always given by the program.
-- JSON is TEXT.  A value over the inline limit is a row of `value`, and the JSON holds {"$value": "<sha-256 in hex>"}.

------------------------------------------------------------------ the file itself
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

-- one row for each process that opened the file in order to execute
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
  ended_by       TEXT CHECK (ended_by IN ('clean', 'crashed', 'moved', 'lease')),
  CHECK ((ended_at IS NULL) = (ended_by IS NULL))
) STRICT;
CREATE INDEX session_open ON session (id) WHERE ended_at IS NULL;

------------------------------------------------------------------ values, stored once each
CREATE TABLE value (
  id             INTEGER PRIMARY KEY,
  hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),  -- SHA-256 of kind, '\n', decoded bytes
  kind           TEXT    NOT NULL,                -- 'json', 'text', 'bytes', 'array <f4 3,256', 'image png', …
  encoding       TEXT    NOT NULL CHECK (encoding IN ('raw', 'zlib')),
  size           INTEGER NOT NULL CHECK (size >= 0),                 -- decoded bytes
  data           BLOB    NOT NULL
) STRICT;

------------------------------------------------------------------ graphs: immutable, known by their content
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

------------------------------------------------------------------ runs
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

-- A task has a row from the moment it is ready.  pending → running → completed | failed | aborted,
-- running → pending (a retry waits), running → waiting → running, and disabled for the branch not taken.
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
  source_id      INTEGER REFERENCES task_run (id) ON DELETE SET NULL,  -- the task run whose output was reused
  CHECK (status <> 'completed' OR output IS NOT NULL),
  CHECK ((finished_at IS NOT NULL)
         = (status = 'completed' OR status = 'failed' OR status = 'aborted' OR status = 'disabled'))
) STRICT;
-- An index of what is open would cost every commit a page; run.open_from bounds the search for it instead.
CREATE UNIQUE INDEX task_run_path  ON task_run (run_id, path);
CREATE INDEX task_run_cache        ON task_run (cache_key) WHERE cache_key IS NOT NULL;
CREATE INDEX task_run_source       ON task_run (source_id) WHERE source_id IS NOT NULL;

CREATE TABLE task_output (                        -- cached outputs that no longer, or never, belonged to a run
  cache_key      BLOB    PRIMARY KEY,
  type           TEXT    NOT NULL,
  output         TEXT    NOT NULL CHECK (json_valid(output)),
  created_at     INTEGER NOT NULL
) STRICT;
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

-- What the rows above cannot say: takeovers, interruptions, retries with their errors, decisions about changed code.
CREATE TABLE event (
  id             INTEGER PRIMARY KEY,
  at             INTEGER NOT NULL,
  run_id         INTEGER REFERENCES run (id) ON DELETE CASCADE,
  path           TEXT,
  kind           TEXT    NOT NULL,
  data           TEXT    CHECK (data IS NULL OR json_valid(data))
) STRICT;
CREATE INDEX event_run ON event (run_id, id) WHERE run_id IS NOT NULL;
