-- The newest instant of an image's schedule that had its capture.
CREATE TABLE scheduled_capture (
    image TEXT PRIMARY KEY,
    due REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- Versions that are to go: because people said so, or because their removal was begun. Once it was, it is
-- no version any more (content tells what it was), and what is left is deleted whatever retention says by then.
CREATE TABLE version_removal (
    image TEXT NOT NULL,
    stamp TEXT NOT NULL,
    at REAL NOT NULL,
    content TEXT,
    PRIMARY KEY (image, stamp)
) STRICT, WITHOUT ROWID;
