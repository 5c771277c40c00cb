-- What must be remembered and can't be observed on a host.
CREATE TABLE placement (
    vm TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    since REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE host_read (
    host TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE failure (
    key TEXT PRIMARY KEY,
    attempts INTEGER NOT NULL,
    message TEXT NOT NULL,
    permanent INTEGER NOT NULL,
    not_before REAL NOT NULL,
    inputs TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The host is part of the key: local pools of one name hold volumes of one name on several hosts.
CREATE TABLE volume_intent (
    pool TEXT NOT NULL,
    volume TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (pool, volume, host)
) STRICT, WITHOUT ROWID;

CREATE TABLE paused (
    target TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    pass_id TEXT NOT NULL,
    target TEXT NOT NULL,
    host TEXT NOT NULL,
    event TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_target ON event (target, id);

-- One row for a run of passes that decided the same from the same generation.
CREATE TABLE pass (
    id INTEGER PRIMARY KEY,
    pass_id TEXT NOT NULL,
    generation TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    passes INTEGER NOT NULL
) STRICT;
