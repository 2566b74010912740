-- Secrets of the project, each sealed under a key that only a passphrase gives.  The passphrase is nowhere in the file.

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
