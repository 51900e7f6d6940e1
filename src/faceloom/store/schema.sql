-- The store of one result folder. docs/store.md explains every table. In braces stand the columns of attributes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE source (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,      -- relative to its input folder
    path       BLOB NOT NULL,             -- as the file system has it
    kind       TEXT NOT NULL CHECK (kind IN ('picture', 'video')),
    size_bytes INTEGER NOT NULL,          -- with mtime_ns: whether the file is still the one that was read
    mtime_ns   INTEGER NOT NULL,
    sha256     TEXT,                      -- of the content
    time_base  TEXT,                      -- seconds a tick, as a fraction
    reading_bytes INTEGER,                -- what reading a frame takes besides the frame; NULL: not looked at yet
    run_id     INTEGER NOT NULL,          -- the last run that was given it
    notes      TEXT                       -- JSON, sorted: what was done so that its frames are as a player shows them
);

CREATE TABLE passed_over (                -- what lies in the inputs' folders and is no source
    path   BLOB PRIMARY KEY,              -- as the file system has it
    name   TEXT NOT NULL,                 -- relative to its input folder
    why    TEXT NOT NULL,
    run_id INTEGER NOT NULL               -- the last run that came across it
) WITHOUT ROWID;
CREATE INDEX source_path ON source (path);

CREATE TABLE frame (
    source_id  INTEGER NOT NULL REFERENCES source (id) ON DELETE CASCADE,
    idx        INTEGER NOT NULL,          -- 0-based, in order of presentation
    ticks      INTEGER,                   -- presentation time
    seek_ticks INTEGER,                   -- of the last keyframe at or before it
    height     INTEGER,
    width      INTEGER,
    status     TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done', 'failed')),
    reason     TEXT,
    look       INTEGER NOT NULL DEFAULT 0, -- which look found its faces: 0 the flow's detector, N the N-th second look
    fault      TEXT,                      -- whose fault it is that it failed: machine; NULL: the file's own, or memory
    tried_in   INTEGER,                   -- the run in which it failed
    PRIMARY KEY (source_id, idx)
) WITHOUT ROWID;

CREATE INDEX frame_pending ON frame (source_id, idx) WHERE status = 'pending';

CREATE TABLE face (
    id         INTEGER PRIMARY KEY,
    source_id  INTEGER NOT NULL,
    frame_idx  INTEGER NOT NULL,
    {face},                               -- idx and what else is kept of each attribute, see faceloom/attributes.py
    UNIQUE (source_id, frame_idx, idx),
    FOREIGN KEY (source_id, frame_idx) REFERENCES frame (source_id, idx) ON DELETE CASCADE
);

CREATE TABLE mask (
    face_id INTEGER NOT NULL REFERENCES face (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    png     BLOB NOT NULL,                -- 8-bit grey, coverage of the square that the chip shows
    PRIMARY KEY (face_id, name)
) WITHOUT ROWID;

CREATE TABLE drawn_mask (                 -- masks that are drawn from the landmarks when they are read
    face_id INTEGER NOT NULL REFERENCES face (id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    drawing TEXT NOT NULL,                -- name, version and numbers, see faceloom/geometry/drawings.py
    PRIMARY KEY (face_id, name)
) WITHOUT ROWID;

CREATE TABLE known (                      -- faces that a file tells of, before their frames are done
    source     TEXT NOT NULL,             -- the source's name, or what the file calls it
    frame_idx  INTEGER NOT NULL,
    {known},                              -- idx and what else files tell of faces
    PRIMARY KEY (source, frame_idx, idx)
) WITHOUT ROWID;

CREATE TABLE again (                      -- what is to be done again on a frame that is done
    source_id  INTEGER NOT NULL,
    frame_idx  INTEGER NOT NULL,
    stage      TEXT NOT NULL,             -- that its faces miss; or look/N, the N-th second look of the configuration
    reason     TEXT,                      -- why this could not be done the last time; NULL: nobody has tried
    PRIMARY KEY (source_id, frame_idx, stage),
    FOREIGN KEY (source_id, frame_idx) REFERENCES frame (source_id, idx) ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE correction (                -- what people said of faces and persons; docs/corrections.md
    id      INTEGER PRIMARY KEY,          -- what was said later counts more
    uid     TEXT NOT NULL UNIQUE,         -- the same wherever it is carried
    at      TEXT NOT NULL,
    verb    TEXT NOT NULL,
    persons TEXT,                         -- JSON: of whom it is said; NULL: of faces
    after   TEXT,                         -- JSON: what holds from then on
    undone  INTEGER NOT NULL DEFAULT 0    -- when it was undone, counted among those that are; 0: it holds
);

CREATE TABLE corrected_face (             -- the faces that a correction is said of
    correction_id INTEGER NOT NULL REFERENCES correction (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,           -- in the order in which they were named
    source    TEXT NOT NULL,              -- where the face was found: it is found again by that
    sha256    TEXT,
    frame_idx INTEGER NOT NULL,
    idx       INTEGER NOT NULL,
    x0        REAL NOT NULL,
    y0        REAL NOT NULL,
    x1        REAL NOT NULL,
    y1        REAL NOT NULL,
    before    TEXT,                       -- JSON: what held until then
    PRIMARY KEY (correction_id, number)
) WITHOUT ROWID;

CREATE TABLE shot (                       -- of videos that faceloom track has looked at
    source_id INTEGER NOT NULL REFERENCES source (id) ON DELETE CASCADE,
    frame_idx INTEGER NOT NULL,           -- its first frame
    PRIMARY KEY (source_id, frame_idx)
) WITHOUT ROWID;

CREATE TABLE tracked (                    -- what shots and tracks were made of: while that is the same, they are right
    source_id INTEGER PRIMARY KEY REFERENCES source (id) ON DELETE CASCADE,
    shots_of  TEXT,                       -- a digest; NULL: the file could not be read, and all is taken for one shot
    tracks_of TEXT NOT NULL               -- likewise
);

CREATE TABLE steady (                     -- of faces in tracks what was found of them, without what shakes
    face_id   INTEGER PRIMARY KEY REFERENCES face (id) ON DELETE CASCADE,
    x0        REAL NOT NULL,
    y0        REAL NOT NULL,
    x1        REAL NOT NULL,
    y1        REAL NOT NULL,
    keypoints BLOB,                       -- as in the table of faces, like the next two
    landmarks BLOB,
    affine    BLOB
);

CREATE TABLE remade (                     -- what networks make of a face that somebody added or moved
    face_id INTEGER PRIMARY KEY REFERENCES face (id) ON DELETE CASCADE,
    made_of TEXT NOT NULL,                -- digest of where the face is said to be, and of the stages
    {remade}
);

CREATE TABLE remade_mask (                -- and its masks: a picture, or what draws it
    face_id INTEGER NOT NULL REFERENCES remade (face_id) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    png     BLOB,
    drawing TEXT,
    PRIMARY KEY (face_id, name)
) WITHOUT ROWID;

CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    started_at  TEXT NOT NULL,
    finished_at TEXT,                     -- NULL: it was killed, or is going on
    outcome     TEXT,                     -- done, interrupted, or the error
    versions    TEXT NOT NULL,            -- JSON
    plan        TEXT,                     -- JSON
    summary     TEXT                      -- JSON, as `extract --json` prints it
);

CREATE TABLE chunk (
    run_id  INTEGER NOT NULL REFERENCES run (id),
    number  INTEGER NOT NULL,
    frames  INTEGER NOT NULL,
    faces   INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (run_id, number)
) WITHOUT ROWID;

CREATE TABLE event (
    id     INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id),
    at     TEXT NOT NULL,
    kind   TEXT NOT NULL,
    detail TEXT NOT NULL
);
