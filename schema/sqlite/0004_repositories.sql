-- Graphs remember what they were, and cached outputs the model that made them.

-- Every graph that a name ever stood for; the name stands for the one with the highest number.
CREATE TABLE graph_version (
  name           TEXT    NOT NULL REFERENCES graph_name (name) ON UPDATE CASCADE ON DELETE CASCADE,
  number         INTEGER NOT NULL CHECK (number >= 1),
  graph_id       INTEGER NOT NULL REFERENCES graph (id),
  note           TEXT    NOT NULL,                -- why, in the words of whoever saved it
  saved_at       INTEGER NOT NULL,
  PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX graph_version_graph ON graph_version (graph_id);

INSERT INTO graph_version (name, number, graph_id, note, saved_at)
SELECT name, 1, graph_id, '', updated_at FROM graph_name;

-- The model is the task's input or setting of that name; it is written only for an output that is cached.
ALTER TABLE task_run    ADD COLUMN model TEXT;
ALTER TABLE task_output ADD COLUMN model TEXT NOT NULL DEFAULT '';
