-- Schema 8: what was seen of accounts that others change as well.

-- Users with an attribute that somebody else changed while the roster went on wishing the same. Few.
CREATE TABLE drift (
    key    TEXT PRIMARY KEY,
    -- What was wished of each such attribute then; JSON as in `user`.
    wishes TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- How many accounts were changed by others, of those that were last looked at together; until a plan
-- that this holds was approved.
CREATE TABLE drift_sample (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    at      INTEGER NOT NULL,
    looked  INTEGER NOT NULL CHECK (looked > 0),
    changed INTEGER NOT NULL CHECK (changed BETWEEN 0 AND looked)
) STRICT;
