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
