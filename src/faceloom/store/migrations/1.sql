-- From version 1 of the schema to 2, but for the columns of attributes, which follow from faceloom/attributes.py.

ALTER TABLE frame ADD COLUMN look INTEGER NOT NULL DEFAULT 0;

CREATE TABLE known (
    source     TEXT NOT NULL,
    frame_idx  INTEGER NOT NULL,
    {known},
    PRIMARY KEY (source, frame_idx, idx)
) WITHOUT ROWID;

CREATE TABLE again (
    source_id  INTEGER NOT NULL,
    frame_idx  INTEGER NOT NULL,
    stage      TEXT NOT NULL,
    reason     TEXT,
    PRIMARY KEY (source_id, frame_idx, stage),
    FOREIGN KEY (source_id, frame_idx) REFERENCES frame (source_id, idx) ON DELETE CASCADE
) WITHOUT ROWID;
