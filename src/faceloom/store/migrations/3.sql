-- From version 3 of the schema to 4.

CREATE TABLE drawn_mask (
    face_id INTEGER NOT NULL REFERENCES face (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    drawing TEXT NOT NULL,
    PRIMARY KEY (face_id, name)
) WITHOUT ROWID;
