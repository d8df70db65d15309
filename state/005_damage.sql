-- Schema 5: what tells a file that was changed, cut or put back by somebody else from our own.

-- SHA-256, cut to 16 bytes, of the row before and of this one; none in rows from before there was a
-- chain.
ALTER TABLE journal ADD COLUMN hash BLOB CHECK (length(hash) = 16);

-- The row after which the chain goes on: the last one that was removed by age, or was written before
-- there was a chain.
CREATE TABLE journal_anchor (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    row  INTEGER NOT NULL CHECK (row >= 0),
    hash BLOB    NOT NULL CHECK (length(hash) = 16)
) STRICT;
INSERT INTO journal_anchor (id, row, hash)
    SELECT 1, max(packed, coalesce((SELECT max(id) FROM journal), 0)), zeroblob(16) FROM meta;

-- XXH3-128 of the rest of the row: tells a flipped bit; none in rows from before this step.
ALTER TABLE intent ADD COLUMN hash BLOB CHECK (length(hash) = 16);
ALTER TABLE pause ADD COLUMN hash BLOB CHECK (length(hash) = 16);
ALTER TABLE accepted_input ADD COLUMN hash BLOB CHECK (length(hash) = 16);

-- The machine on which the file is used, as a tag that only this file's key can make.
CREATE TABLE machine (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    tag BLOB    NOT NULL CHECK (length(tag) = 32)
) STRICT;
