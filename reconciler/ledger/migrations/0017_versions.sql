-- Complete versions of captured images, as their manifests say; a lost ledger is rebuilt from those.
CREATE TABLE version (
    image TEXT NOT NULL,
    stamp TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (image, stamp)
) STRICT, WITHOUT ROWID;

-- Versions that are being made, written before anything of them is: one at a time of an image, and of a VM.
CREATE TABLE capture (
    image TEXT PRIMARY KEY,
    vm TEXT NOT NULL UNIQUE,
    since REAL NOT NULL,
    step TEXT NOT NULL,
    why TEXT NOT NULL,
    phase TEXT NOT NULL,
    taken_at REAL,
    consistency TEXT,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    cancelled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Images of which people have asked for a version by command.
CREATE TABLE capture_request (
    image TEXT PRIMARY KEY,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;
