-- From version 1 of the schema to 2; schema.sql says what the columns are.

ALTER TABLE face ADD COLUMN pitch REAL;
ALTER TABLE face ADD COLUMN yaw REAL;
ALTER TABLE face ADD COLUMN roll REAL;
ALTER TABLE face ADD COLUMN sharpness REAL;
ALTER TABLE face ADD COLUMN rejected TEXT;
ALTER TABLE face ADD COLUMN person TEXT;
