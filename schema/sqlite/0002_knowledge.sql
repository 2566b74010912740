-- Documents, their chunks, and the two ways to find a chunk: by its vector and by its words.

CREATE TABLE knowledge_base (
  id             INTEGER PRIMARY KEY,
  name           TEXT    NOT NULL UNIQUE,
  model          TEXT    NOT NULL,                -- the embedding model; every vector in here is its
  dimensions     INTEGER NOT NULL CHECK (dimensions > 0),
  created_at     INTEGER NOT NULL
) STRICT;

-- Nothing here cascades: a chunk must leave the index of words in the transaction that deletes it.
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
