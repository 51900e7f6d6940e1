-- From version 8 of the schema to 9.

CREATE TABLE IF NOT EXISTS remade (       -- what networks make of a face that somebody added or moved
    face_id INTEGER PRIMARY KEY REFERENCES face (id) ON DELETE CASCADE,
    made_of TEXT NOT NULL,                -- digest of where the face is said to be, and of the stages
    {remade}
);

CREATE TABLE IF NOT EXISTS remade_mask (  -- and its masks: a picture, or what draws it
    face_id INTEGER NOT NULL REFERENCES remade (face_id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    png     BLOB,
    drawing TEXT,
    PRIMARY KEY (face_id, name)
) WITHOUT ROWID;
