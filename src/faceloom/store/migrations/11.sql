-- From version 11 of the schema to 12.

CREATE TABLE steady (
    face_id   INTEGER PRIMARY KEY REFERENCES face (id) ON DELETE CASCADE,
    x0        REAL NOT NULL,
    y0        REAL NOT NULL,
    x1        REAL NOT NULL,
    y1        REAL NOT NULL,
    keypoints BLOB,
    landmarks BLOB,
    affine    BLOB
);
