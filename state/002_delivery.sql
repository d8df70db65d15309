-- Schema 2: what the sender has to come back to.

-- Users of whom a request was in doubt, and is settled now. It may arrive yet, after the read that
-- did not show it: they are read again until two reads, each of a run of its own, show what is
-- known. Where the target offers no read, the same values are sent once more instead.
CREATE TABLE suspect (
    key   TEXT    PRIMARY KEY,
    -- Reads in a row that showed what is known.
    clean INTEGER NOT NULL CHECK (clean IN (0, 1)),
    -- What the request would change: a JSON array of names, sorted.
    paths TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
