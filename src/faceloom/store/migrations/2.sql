-- From version 2 of the schema to 3, but for the columns of attributes, which follow from faceloom/attributes.py.

ALTER TABLE source ADD COLUMN notes TEXT;

CREATE TABLE passed_over (
    path   BLOB PRIMARY KEY,
    name   TEXT NOT NULL,
    why    TEXT NOT NULL,
    run_id INTEGER NOT NULL
) WITHOUT ROWID;

ALTER TABLE frame ADD COLUMN fault TEXT;
ALTER TABLE frame ADD COLUMN tried_in INTEGER;
CREATE INDEX source_path ON source (path);
