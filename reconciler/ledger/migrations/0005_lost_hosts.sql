-- Whether hosts live, as the one controller judged it, and the proofs that allow their VMs to run elsewhere.
CREATE TABLE host_health (
    host TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    rule TEXT NOT NULL,
    sentence TEXT NOT NULL,
    since REAL NOT NULL,
    last_seen REAL
) STRICT, WITHOUT ROWID;

-- One silence of one host. `returned_at` ends what was proven of it, `closed_at` ends it altogether.
CREATE TABLE incident (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    opened REAL NOT NULL,
    last_seen REAL,
    suspect_at REAL,
    unreachable_at REAL,
    returned_at REAL,
    closed_at REAL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX open_incident ON incident (host) WHERE closed_at IS NULL;

CREATE TABLE fence_proof (
    incident TEXT PRIMARY KEY REFERENCES incident (id),
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    evidence TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE fence_attempt (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    incident TEXT NOT NULL,
    level INTEGER NOT NULL,
    agent TEXT NOT NULL,
    began REAL NOT NULL,
    ended REAL,
    ending TEXT,
    message TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX fence_attempt_by_host ON fence_attempt (host, id);

CREATE TABLE fence_test (
    host TEXT PRIMARY KEY,
    at REAL NOT NULL,
    passed INTEGER NOT NULL,
    devices TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE host_identity (
    host TEXT PRIMARY KEY,
    uuid TEXT NOT NULL
) STRICT, WITHOUT ROWID;
