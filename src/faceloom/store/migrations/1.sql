-- From version 1 of the schema to 2; schema.sql says what the columns are.

ALTER TABLE frame ADD COLUMN look INTEGER NOT NULL DEFAULT 0;
ALTER TABLE face ADD COLUMN pitch REAL;
ALTER TABLE face ADD COLUMN yaw REAL;
ALTER TABLE face ADD COLUMN roll REAL;
ALTER TABLE face ADD COLUMN sharpness REAL;
ALTER TABLE face ADD COLUMN rejected TEXT;
ALTER TABLE face ADD COLUMN person TEXT;

CREATE TABLE known (
    source     TEXT NOT NULL,
    frame_idx  INTEGER NOT NULL,
    idx        INTEGER NOT NULL,
    x0 REAL NOT NULL, y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL,
    score      REAL NOT NULL,
    confidence REAL,
    keypoints  BLOB,
    landmarks  BLOB,
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
