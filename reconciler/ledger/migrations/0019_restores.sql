-- Disks that were restored: which volume each has, which restore was done last, and what is made for one under way.
CREATE TABLE disk_volume (
    vm TEXT NOT NULL,
    disk TEXT NOT NULL,
    volume TEXT NOT NULL,
    PRIMARY KEY (vm, disk)
) STRICT, WITHOUT ROWID;

CREATE TABLE restored (
    vm TEXT PRIMARY KEY,
    done TEXT NOT NULL,
    at REAL NOT NULL,
    source TEXT NOT NULL,
    starts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE restoring (
    vm TEXT NOT NULL,
    disk TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    pool TEXT NOT NULL,
    volume TEXT NOT NULL,
    host TEXT NOT NULL,
    copied INTEGER NOT NULL,
    PRIMARY KEY (pool, volume, host)
) STRICT, WITHOUT ROWID;
