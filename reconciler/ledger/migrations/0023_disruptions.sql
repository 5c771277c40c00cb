-- When a VM was shut down, rebuilt or removed on purpose: so many in a time are allowed. Written before it is begun.
CREATE TABLE disruption (
    vm TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (vm, at)
) STRICT, WITHOUT ROWID;
