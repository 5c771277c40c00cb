-- VMs that are being migrated, written before libvirt is asked: each is at its source or at its target.
CREATE TABLE migration (
    vm TEXT PRIMARY KEY,
    since REAL NOT NULL,
    step TEXT NOT NULL,
    why TEXT NOT NULL,
    done INTEGER,
    total INTEGER,
    remaining INTEGER,
    told REAL,
    downtime REAL
) STRICT, WITHOUT ROWID;

-- Local disks that VMs left on the hosts that they were migrated from.
CREATE TABLE left_volume (
    vm TEXT NOT NULL,
    pool TEXT NOT NULL,
    volume TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (vm, pool, volume, host)
) STRICT, WITHOUT ROWID;
