-- Schema 1: the snapshot of one tenant, what is on its way, and what was done.
-- Instants are whole microseconds since 1970-01-01T00:00:00Z. Attributes, refused values and edits
-- are JSON with sorted names, in which null stands for "unset".

-- Whose file this is.
CREATE TABLE meta (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    tenant    TEXT    NOT NULL,
    -- Drawn when the file was made: two files with different lineages are different histories.
    lineage   TEXT    NOT NULL,
    -- Grows with every commit that changes what is known of a user.
    serial    INTEGER NOT NULL CHECK (serial >= 0),
    -- Largest operation number handed out so far.
    operation INTEGER NOT NULL CHECK (operation >= 0),
    -- Key of the tags by which logs name a user.
    tag_key   BLOB    NOT NULL CHECK (length(tag_key) = 32)
) STRICT;

-- Every user of whom the target has told us something. Narrow, because it is read whole every
-- night; what is only needed for a user that changed is in `account`.
CREATE TABLE user (
    id          INTEGER PRIMARY KEY,
    key         TEXT    NOT NULL UNIQUE,
    remote_id   TEXT    NOT NULL,
    -- Set while all that the row wished is settled.
    fingerprint BLOB    CHECK (fingerprint IS NULL OR length(fingerprint) = 16),
    -- 0: the target has not shown this user yet.
    seen        INTEGER NOT NULL CHECK (seen IN (0, 1)),
    -- 1: the target says that there is no such user.
    gone        INTEGER NOT NULL CHECK (gone IN (0, 1))
) STRICT;
CREATE INDEX user_unseen ON user (key) WHERE seen = 0;

CREATE TABLE account (
    id         INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    -- As the target last showed them.
    attributes TEXT    NOT NULL,
    -- Values that the target would not take.
    refused    TEXT    NOT NULL,
    -- XXH3-128 of the user's row and this one, without the fingerprint: tells a flipped bit.
    hash       BLOB    NOT NULL CHECK (length(hash) = 16)
) STRICT;
CREATE INDEX account_refused ON account (id) WHERE refused <> '{}';

-- Requests that left, or were about to, and of which nothing trustworthy is known.
CREATE TABLE intent (
    operation INTEGER PRIMARY KEY,
    run       TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    remote_id TEXT    NOT NULL,
    action    TEXT    NOT NULL CHECK (action IN ('read', 'patch')),
    edits     TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX intent_key ON intent (key);

-- How many requests left at an instant; what the quota is counted from after a restart.
CREATE TABLE sent (
    at       INTEGER PRIMARY KEY,
    requests INTEGER NOT NULL CHECK (requests > 0)
) STRICT;

CREATE TABLE run (
    number  INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    verb    TEXT    NOT NULL,
    started INTEGER NOT NULL,
    ended   INTEGER,
    summary TEXT
) STRICT;

-- What became of every operation. Rows are added, and removed by age; never changed.
CREATE TABLE journal (
    id        INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL,
    run       TEXT,
    at        INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    remote_id TEXT    NOT NULL,
    action    TEXT    NOT NULL CHECK (action IN ('read', 'patch')),
    outcome   TEXT    NOT NULL CHECK (
        outcome IN ('settled', 'unverified', 'refused', 'in_doubt', 'deferred', 'gone')
    ),
    why       TEXT    NOT NULL,
    status    INTEGER CHECK (status BETWEEN 0 AND 65535),
    attempts  INTEGER NOT NULL CHECK (attempts >= 0),
    edits     TEXT    NOT NULL
) STRICT;
CREATE INDEX journal_key ON journal (key);
CREATE TRIGGER journal_is_append_only BEFORE UPDATE ON journal BEGIN
    SELECT RAISE(ABORT, 'a journal row is never changed');
END;

-- The tenant asked us to wait.
CREATE TABLE pause (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    until INTEGER NOT NULL,
    why   TEXT    NOT NULL
) STRICT;

-- The last roster that passed the guards, to measure the next one by.
CREATE TABLE accepted_input (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    users  INTEGER NOT NULL CHECK (users >= 0),
    rows   INTEGER NOT NULL CHECK (rows >= 0),
    digest BLOB    NOT NULL CHECK (length(digest) = 16),
    at     INTEGER NOT NULL
) STRICT;

-- When something on a schedule was last done.
CREATE TABLE mark (
    name TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
