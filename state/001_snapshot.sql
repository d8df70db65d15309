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
    -- The last row of the journal that the packed index takes into account: users of later rows
    -- are not settled, whatever the index says.
    packed    INTEGER NOT NULL CHECK (packed >= 0),
    -- Key of the tags by which logs name a user.
    tag_key   BLOB    NOT NULL CHECK (length(tag_key) = 32)
) STRICT;

-- Every user of whom the target has told us something.
CREATE TABLE user (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL,
    remote_id  TEXT    NOT NULL,
    -- 0: the target has not shown this user yet.
    seen       INTEGER NOT NULL CHECK (seen IN (0, 1)),
    -- 1: the target says that there is no such user.
    gone       INTEGER NOT NULL CHECK (gone IN (0, 1)),
    -- As the target last showed them.
    attributes TEXT    NOT NULL,
    -- Values that the target would not take.
    refused    TEXT    NOT NULL,
    -- XXH3-128 of the rest of the row but the id: tells a flipped bit.
    hash       BLOB    NOT NULL CHECK (length(hash) = 16)
) STRICT;
CREATE UNIQUE INDEX user_key ON user (key);
CREATE INDEX user_unseen ON user (key) WHERE seen = 0;
CREATE INDEX user_gone ON user (key) WHERE gone = 1;
CREATE INDEX user_refused ON user (key) WHERE refused <> '{}';

-- Who is known and which row of each was settled last, packed by the first bits of the key's
-- fingerprint: a million rows of a table would take longer to read than the whole night. Made of
-- the other tables and of what was compared; a page that is lost only costs a comparison.
CREATE TABLE index_page (
    number   INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    -- Of the mapping and the settings under which the rows were settled.
    view     BLOB    NOT NULL CHECK (length(view) = 16),
    -- XXH3-128 of the entries.
    digest   BLOB    NOT NULL CHECK (length(digest) = 16),
    count    INTEGER NOT NULL CHECK (count >= 0),
    -- A bit for each entry: there is a row in `user`.
    accounts BLOB    NOT NULL,
    -- XXH3-64 of all of this but the entries.
    hash     BLOB    NOT NULL CHECK (length(hash) = 8),
    -- Fingerprints of the key and of the row settled last (zeros: none), sorted by key. The last
    -- column, so that the others are read without it.
    entries  BLOB    NOT NULL
) STRICT;

-- Where the accounts of a page are, in the order of its entries: 8 bytes of the key's fingerprint,
-- 4 of `user.id`, 8 of the XXH3-128 of the remote id.
CREATE TABLE index_account (
    number   INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    -- XXH3-64 of the accounts.
    hash     BLOB    NOT NULL CHECK (length(hash) = 8),
    accounts BLOB    NOT NULL
) STRICT;

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

-- What became of every operation. Rows are added, and removed by age; never changed. No id is ever
-- used twice. Without an index of the keys: it would have a page of its own written for every send,
-- to spare a person who asks about one user half a second.
CREATE TABLE journal (
    id        INTEGER PRIMARY KEY,
    operation INTEGER NOT NULL,
    run       TEXT,
    at        INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    remote_id TEXT    NOT NULL,
    action    TEXT    NOT NULL CHECK (action IN ('read', 'patch')),
    -- Spelled out: for a list of more than two, SQLite makes a table whenever a row is added.
    outcome   TEXT    NOT NULL CHECK (
        outcome = 'settled' OR outcome = 'unverified' OR outcome = 'refused'
        OR outcome = 'in_doubt' OR outcome = 'deferred' OR outcome = 'gone'
    ),
    why       TEXT    NOT NULL,
    status    INTEGER CHECK (status BETWEEN 0 AND 65535),
    attempts  INTEGER NOT NULL CHECK (attempts >= 0),
    edits     TEXT    NOT NULL
) STRICT;
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

-- What the last whole run said to this very file, for when it comes again.
CREATE TABLE last_answer (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    file     BLOB    NOT NULL CHECK (length(file) = 16),
    size     INTEGER NOT NULL CHECK (size >= 0),
    head     BLOB    NOT NULL CHECK (length(head) = 16),
    settings BLOB    NOT NULL CHECK (length(settings) = 16),
    serial   INTEGER NOT NULL CHECK (serial >= 0),
    body     TEXT    NOT NULL
) STRICT;
