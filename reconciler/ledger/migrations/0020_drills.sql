-- How the last drill of each captured image ended, and which version passed one last.
CREATE TABLE drill (
    image TEXT PRIMARY KEY,
    stamp TEXT NOT NULL,
    at REAL NOT NULL,
    passed INTEGER NOT NULL,
    detail TEXT NOT NULL,
    seconds REAL NOT NULL,
    passed_stamp TEXT NOT NULL,
    passed_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
