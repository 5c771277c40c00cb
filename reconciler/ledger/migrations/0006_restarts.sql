-- When VMs were started again that had ended by themselves: a guest in a crash loop is left alone after a while.
CREATE TABLE restart (
    vm TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (vm, at)
) STRICT, WITHOUT ROWID;
