-- Volumes whose deletion was accepted: once the domain is gone, its mark no longer says so.
CREATE TABLE doomed_volume (
    vm TEXT NOT NULL,
    pool TEXT NOT NULL,
    volume TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (vm, pool, volume, host)
) STRICT, WITHOUT ROWID;
