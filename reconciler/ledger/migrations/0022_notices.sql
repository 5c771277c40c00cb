-- What a receiver of notifications was told is the matter, and was not yet told is over.
CREATE TABLE notice (
    receiver TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    object TEXT NOT NULL,
    title TEXT NOT NULL,
    PRIMARY KEY (receiver, key)
) STRICT, WITHOUT ROWID;
