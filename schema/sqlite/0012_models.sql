-- The catalogue of models.

CREATE TABLE model (                              -- what is known of a model under the name that tasks call it by
  name           TEXT    PRIMARY KEY,
  provider       TEXT    NOT NULL CHECK (provider <> ''),  -- who runs it
  record         TEXT    NOT NULL CHECK (json_valid(record) AND json_type(record) = 'object'),  -- all the rest
  seal           TEXT    NOT NULL,                -- by the user who wrote it, for this very file
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
