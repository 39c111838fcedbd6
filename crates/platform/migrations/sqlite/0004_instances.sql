-- The Helm release that an object says it is of, and why it is not well.
ALTER TABLE object_states ADD COLUMN release_name TEXT;
ALTER TABLE object_states ADD COLUMN cause TEXT;

-- What others had changed of objects that a repository describes, and was put back: the newest of each environment.
CREATE TABLE drifts (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    api_group      TEXT NOT NULL,
    kind           TEXT NOT NULL,
    name           TEXT NOT NULL,
    file           TEXT,
    fields         TEXT NOT NULL, -- JSON of DriftedField[]
    repaired_ms    BIGINT NOT NULL,
    PRIMARY KEY (environment_id, api_group, kind, name, fields)
);

-- What was last told of each instance: the side that the next fold is compared with. '' is the environment itself.
CREATE TABLE instances (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    told           TEXT NOT NULL, -- JSON of Instance, or of Vitals
    PRIMARY KEY (environment_id, name)
);
