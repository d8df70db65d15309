-- Schema 3: plans that a guard holds, and what people have approved.

-- Plans that wait for a person, as the run that was held made them.
CREATE TABLE waiting_plan (
    -- Of the plan's operations.
    digest   TEXT    PRIMARY KEY,
    run      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    -- What was counted, in words; a JSON list.
    figures  TEXT    NOT NULL,
    -- What else the plan was made of: `meta.serial`, the source, the configuration.
    serial   INTEGER NOT NULL CHECK (serial >= 0),
    source   BLOB    NOT NULL CHECK (length(source) = 16),
    settings BLOB    NOT NULL CHECK (length(settings) = 16)
) STRICT;

-- Who let which plan pass, once. Rows are added, and marked as used; nothing else ever changes.
CREATE TABLE approval (
    id       INTEGER PRIMARY KEY,
    digest   TEXT    NOT NULL,
    who      TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    expires  INTEGER NOT NULL CHECK (expires > at),
    figures  TEXT    NOT NULL,
    -- As in `meta`: an approval is of one history only.
    lineage  TEXT    NOT NULL,
    serial   INTEGER NOT NULL CHECK (serial >= 0),
    source   BLOB    NOT NULL CHECK (length(source) = 16),
    settings BLOB    NOT NULL CHECK (length(settings) = 16),
    used     INTEGER,
    run      TEXT,
    CHECK ((used IS NULL) = (run IS NULL))
) STRICT;
CREATE TRIGGER approval_is_used_once BEFORE UPDATE ON approval
WHEN OLD.used IS NOT NULL OR NEW.used IS NULL OR (NEW.id, NEW.digest, NEW.who, NEW.reason, NEW.at,
    NEW.expires, NEW.figures, NEW.lineage, NEW.serial, NEW.source, NEW.settings)
    IS NOT (OLD.id, OLD.digest, OLD.who, OLD.reason, OLD.at,
    OLD.expires, OLD.figures, OLD.lineage, OLD.serial, OLD.source, OLD.settings)
BEGIN
    SELECT RAISE(ABORT, 'an approval is used once and never changed');
END;

-- What rows were looked at with when the source was last accepted.
CREATE TABLE accepted_view (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    -- Of the mapping and the settings.
    view    BLOB    NOT NULL CHECK (length(view) = 16),
    -- Of the columns that the tenants of the source ask for: what a row's fingerprint is of.
    columns BLOB    NOT NULL CHECK (length(columns) = 16)
) STRICT;
