-- From version 2 of the schema to 3; schema.sql says what the columns are.

ALTER TABLE source ADD COLUMN notes TEXT;

CREATE TABLE passed_over (
    path   BLOB PRIMARY KEY,
    name   TEXT NOT NULL,
    why    TEXT NOT NULL,
    run_id INTEGER NOT NULL
) WITHOUT ROWID;
