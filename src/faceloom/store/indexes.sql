-- Over columns of attributes, which older stores are only given on the way: made last, in these and in new ones.

-- All that is counted of a million faces, or asked of one person or frame: else each would read every row, blobs and all.
CREATE INDEX IF NOT EXISTS face_person ON face (person, rejected, roll);
CREATE INDEX IF NOT EXISTS face_shown ON face (source_id, frame_idx, rejected);
CREATE INDEX IF NOT EXISTS face_tracked ON face (source_id, track, frame_idx, rejected) WHERE track IS NOT NULL;
CREATE INDEX IF NOT EXISTS face_added_by ON face (added_by) WHERE added_by IS NOT NULL;
