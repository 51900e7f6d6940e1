-- From version 7 of the schema to 8, but for the columns of attributes, which follow from faceloom/attributes.py.

CREATE TABLE shot (
    source_id INTEGER NOT NULL REFERENCES source (id) ON DELETE CASCADE,
    frame_idx INTEGER NOT NULL,
    PRIMARY KEY (source_id, frame_idx)
) WITHOUT ROWID;

CREATE TABLE tracked (
    source_id INTEGER PRIMARY KEY REFERENCES source (id) ON DELETE CASCADE,
    shots_of  TEXT,
    tracks_of TEXT NOT NULL
);
