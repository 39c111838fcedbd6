-- The Helm release that an object says it is of, and why it is not well.
ALTER TABLE object_states ADD COLUMN release_name TEXT;
ALTER TABLE object_states ADD COLUMN cause TEXT;

-- What was last told of each instance: the side that the next fold is compared with. '' is the environment itself.
CREATE TABLE instances (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    told           TEXT NOT NULL, -- JSON of Instance, or of Vitals
    PRIMARY KEY (environment_id, name)
);
