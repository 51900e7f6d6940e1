-- From version 2 of the schema to 3, but for the columns of attributes, which follow from faceloom/attributes.py.

ALTER TABLE frame ADD COLUMN fault TEXT;
ALTER TABLE frame ADD COLUMN tried_in INTEGER;
CREATE INDEX source_path ON source (path);
