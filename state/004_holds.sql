-- Who is not sent for now: users and the tenant in quarantine, and users held by hand. Few rows.
-- Instants as in the first step. A `next` that is NULL: given up, or until a person says so.

-- Users whose operation failed, until it succeeds, the wish changes or a person says so.
CREATE TABLE quarantine (
    key    TEXT    PRIMARY KEY,
    cause  TEXT    NOT NULL CHECK (cause IN ('refused', 'gone', 'in_doubt', 'unreachable')),
    -- The target's code or our own words; nothing of anybody.
    why    TEXT    NOT NULL,
    -- Of the last answer.
    status INTEGER CHECK (status BETWEEN 0 AND 65535),
    -- Fingerprint of the row that failed; NULL: whichever it was.
    row    BLOB    CHECK (length(row) = 16),
    -- The first failure and the last one.
    since  INTEGER NOT NULL,
    last   INTEGER NOT NULL,
    tries  INTEGER NOT NULL CHECK (tries >= 0),
    next   INTEGER
) STRICT, WITHOUT ROWID;

-- Users that a person holds.
CREATE TABLE hold (
    key    TEXT    PRIMARY KEY,
    reason TEXT    NOT NULL,
    -- Who said so.
    person TEXT    NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER
) STRICT, WITHOUT ROWID;

-- The tenant itself.
CREATE TABLE tenant_quarantine (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    cause TEXT    NOT NULL CHECK (cause IN ('credentials', 'broken', 'rate')),
    why   TEXT    NOT NULL,
    since INTEGER NOT NULL,
    tries INTEGER NOT NULL CHECK (tries >= 0),
    next  INTEGER
) STRICT;

-- Users who are gone had no clock so far: the next run asks again.
INSERT INTO quarantine (key, cause, why, status, row, since, last, tries, next)
SELECT user.key, 'gone', '', NULL, NULL, run.at, run.at, 1, run.at
FROM user, (SELECT coalesce(max(started), 0) AS at FROM run) AS run
WHERE user.gone = 1 AND user.seen = 1;
