-- From version 5 of the schema to 6.

CREATE TABLE correction (
    id      INTEGER PRIMARY KEY,
    uid     TEXT NOT NULL UNIQUE,
    at      TEXT NOT NULL,
    verb    TEXT NOT NULL,
    persons TEXT,
    after   TEXT,
    undone  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE corrected_face (
    correction_id INTEGER NOT NULL REFERENCES correction (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    source    TEXT NOT NULL,
    sha256    TEXT,
    frame_idx INTEGER NOT NULL,
    idx       INTEGER NOT NULL,
    x0        REAL NOT NULL,
    y0        REAL NOT NULL,
    x1        REAL NOT NULL,
    y1        REAL NOT NULL,
    before    TEXT,
    PRIMARY KEY (correction_id, number)
) WITHOUT ROWID;
