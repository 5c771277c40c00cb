-- Guests whose agent has not answered for longer than their spec allows, and since when: told, never acted upon.
CREATE TABLE silent_guest (
    vm TEXT PRIMARY KEY,
    since REAL NOT NULL
) STRICT, WITHOUT ROWID;
