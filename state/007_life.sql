-- Schema 7: accounts that are found, made, switched off and taken away.

-- More kinds of operations. No list of words here: what a program wrote that knows more of them than
-- this one is told when it is read. `remote_id` is empty where nobody knew it. (Copied twice: a table
-- that is renamed leaves a transaction of the temporary database open.)
CREATE TABLE intent_of_6 AS SELECT * FROM intent;
DROP TABLE intent;
CREATE TABLE intent (
    operation INTEGER PRIMARY KEY,
    run       TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    remote_id TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    edits     TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    hash      BLOB    CHECK (length(hash) = 16)
) STRICT;
INSERT INTO intent SELECT operation, run, key, remote_id, action, edits, at, hash
    FROM intent_of_6;
DROP TABLE intent_of_6;

-- The same for the journal. Rows and their hashes are taken over as they are: the chain goes on.
CREATE TABLE journal_of_6 AS SELECT * FROM journal;
DROP TABLE journal;
CREATE TABLE journal (
    id        INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL,
    run       TEXT,
    at        INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    remote_id TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    why       TEXT    NOT NULL,
    status    INTEGER CHECK (status BETWEEN 0 AND 65535),
    attempts  INTEGER NOT NULL CHECK (attempts >= 0),
    edits     TEXT    NOT NULL,
    hash      BLOB    CHECK (length(hash) = 16)
) STRICT;
INSERT INTO journal SELECT id, operation, run, at, key, remote_id, action, outcome, why, status, attempts, edits, hash
    FROM journal_of_6;
DROP TABLE journal_of_6;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE ON journal BEGIN
    SELECT RAISE(ABORT, 'a journal row is never changed');
END;

-- Two more causes: nobody, or several, answered to what a user was looked for by.
CREATE TABLE quarantine_of_6 AS SELECT * FROM quarantine;
DROP TABLE quarantine;
CREATE TABLE quarantine (
    key    TEXT    PRIMARY KEY,
    cause  TEXT    NOT NULL,
    why    TEXT    NOT NULL,
    status INTEGER CHECK (status BETWEEN 0 AND 65535),
    row    BLOB    CHECK (length(row) = 16),
    since  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    tries  INTEGER NOT NULL CHECK (tries >= 0),
    next   INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO quarantine SELECT key, cause, why, status, row, since, last, tries, next
    FROM quarantine_of_6;
DROP TABLE quarantine_of_6;

-- How accounts came to be known of which the roster did not name the id; and of those that it did, the
-- ones of leavers that a read has shown.
CREATE TABLE link (
    key       TEXT    PRIMARY KEY,
    remote_id TEXT    NOT NULL,
    how       TEXT    NOT NULL CHECK (how IN ('linked', 'created')),
    -- The attribute that it was found by; empty of one that was made, or that the roster named.
    by        TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    run       TEXT
) STRICT, WITHOUT ROWID;

-- Users who have left, or seem to have.
CREATE TABLE leaver (
    key      TEXT    PRIMARY KEY,
    -- Complete reads in a row that did not have the user.
    absent   INTEGER NOT NULL CHECK (absent >= 0),
    -- When that was first seen, or the user was first said to have left.
    since    INTEGER NOT NULL,
    -- When we switched the account off; NULL: we did not.
    disabled INTEGER
) STRICT, WITHOUT ROWID;
