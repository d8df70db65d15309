-- Schema 6: how much of the quota the target has taught us to use.

-- No row: all of it.
CREATE TABLE pace (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    share REAL    NOT NULL CHECK (share > 0.0 AND share < 1.0),
    at    INTEGER NOT NULL
) STRICT;
