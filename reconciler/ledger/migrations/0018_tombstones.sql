-- What is kept of VMs that were removed, and of disks that were replaced, until it is deleted for good.
CREATE TABLE tombstone (
    id INTEGER PRIMARY KEY,
    vm TEXT NOT NULL,
    kind TEXT NOT NULL,
    since REAL NOT NULL,
    expires_at REAL NOT NULL,
    counted_from REAL NOT NULL,
    host TEXT NOT NULL,
    uuid TEXT NOT NULL,
    macs TEXT NOT NULL,
    nvram INTEGER NOT NULL,
    restore TEXT NOT NULL,
    purged INTEGER NOT NULL
) STRICT;

CREATE TABLE tombstone_volume (
    pool TEXT NOT NULL,
    volume TEXT NOT NULL,
    host TEXT NOT NULL,
    tombstone INTEGER NOT NULL,
    PRIMARY KEY (pool, volume, host)
) STRICT, WITHOUT ROWID;

-- Of deletions that were held for being many: those that a human accepted.
CREATE TABLE accepted_deletion (
    vm TEXT NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (vm, what)
) STRICT, WITHOUT ROWID;

-- Time that surely passed since this ledger began: a wall clock that is set forward makes nothing older.
CREATE TABLE counted_time (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seconds REAL NOT NULL,
    wall REAL NOT NULL,
    boot TEXT NOT NULL,
    monotonic REAL NOT NULL
) STRICT;
