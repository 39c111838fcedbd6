-- Ids are UUIDv7 as text, times are milliseconds since the Unix epoch, JSON is text.
-- The SQL is kept to what SQLite and PostgreSQL both understand.

-- Facts about this installation, for instance its id.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    administrator BIGINT NOT NULL DEFAULT 0,
    created_ms    BIGINT NOT NULL
);

-- Only the SHA-256 of a token is kept.
CREATE TABLE api_tokens (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    token_hash   TEXT NOT NULL UNIQUE,
    created_ms   BIGINT NOT NULL,
    expires_ms   BIGINT,
    last_used_ms BIGINT
);

CREATE TABLE ssh_keys (
    id          TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title       TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE,
    created_ms  BIGINT NOT NULL
);

CREATE TABLE projects (
    id                    TEXT PRIMARY KEY,
    name                  TEXT NOT NULL UNIQUE,
    allowed_cluster_kinds TEXT NOT NULL,
    created_ms            BIGINT NOT NULL
);

CREATE TABLE members (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    PRIMARY KEY (project_id, user_id)
);

CREATE TABLE clusters (
    id                 TEXT PRIMARY KEY,
    project_id         TEXT NOT NULL REFERENCES projects (id),
    name               TEXT NOT NULL,
    -- uid of the namespace kube-system: tells a cloned credential from a restarted agent
    uid                TEXT,
    -- grows with every session; only the newest session's word counts
    epoch              BIGINT NOT NULL DEFAULT 0,
    connected          BIGINT NOT NULL DEFAULT 0,
    message            TEXT,
    kubernetes_version TEXT,
    agent_version      TEXT,
    nodes              TEXT NOT NULL DEFAULT '[]',
    -- group, kind, version and scope of what the cluster's API server offers
    kinds              TEXT NOT NULL DEFAULT '[]',
    created_ms         BIGINT NOT NULL,
    last_seen_ms       BIGINT,
    UNIQUE (project_id, name)
);

-- An activation token is consumed by the first session that opens with the credential it was swapped for.
CREATE TABLE cluster_credentials (
    id         TEXT PRIMARY KEY,
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    purpose    TEXT NOT NULL, -- activation | session
    token_hash TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    used_ms    BIGINT
);

CREATE TABLE environments (
    id               TEXT PRIMARY KEY,
    project_id       TEXT NOT NULL REFERENCES projects (id),
    cluster_id       TEXT NOT NULL REFERENCES clusters (id),
    name             TEXT NOT NULL,
    namespace        TEXT NOT NULL,
    branch           TEXT NOT NULL,
    phase            TEXT NOT NULL,
    message          TEXT,
    agent_public_key TEXT,
    agent_fingerprint TEXT,
    -- the three commits
    newest_commit    TEXT,
    parsed_commit    TEXT,
    applied_commit   TEXT,
    -- grows with every change of what is wanted; the agent acts on the highest
    generation       BIGINT NOT NULL DEFAULT 0,
    confirmed_commit TEXT,
    held             TEXT, -- JSON of HeldDeletions
    removal          TEXT, -- keep-namespace | delete-namespace, once deletion was asked for
    failed_objects   BIGINT NOT NULL DEFAULT 0,
    file_errors      BIGINT NOT NULL DEFAULT 0,
    created_ms       BIGINT NOT NULL,
    UNIQUE (project_id, name),
    UNIQUE (cluster_id, namespace)
);
CREATE INDEX environments_by_cluster ON environments (cluster_id);

CREATE TABLE commits (
    id             TEXT PRIMARY KEY, -- UUIDv7: order of intake
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    commit_id      TEXT NOT NULL,
    author         TEXT NOT NULL,
    email          TEXT NOT NULL,
    subject        TEXT NOT NULL,
    time_ms        BIGINT NOT NULL,
    parsed_ms      BIGINT NOT NULL,
    state          TEXT NOT NULL,
    records        TEXT NOT NULL, -- JSON of ChangeRecord[]
    delivery       TEXT           -- JSON of Delivery
);
CREATE INDEX commits_by_environment ON commits (environment_id, id);

-- What the last parsed commit wants, per object: the side that the next commit is compared with.
CREATE TABLE wanted_objects (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    api_group      TEXT NOT NULL,
    kind           TEXT NOT NULL,
    namespace      TEXT NOT NULL, -- '' for cluster-scoped
    name           TEXT NOT NULL,
    file           TEXT NOT NULL,
    digest         TEXT NOT NULL,
    PRIMARY KEY (environment_id, api_group, kind, namespace, name)
);

CREATE TABLE environment_errors (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    source         TEXT NOT NULL, -- parsing | delivery
    commit_id      TEXT NOT NULL,
    file           TEXT NOT NULL,
    line           BIGINT NOT NULL,
    col            BIGINT,
    code           TEXT NOT NULL,
    object         TEXT,
    message        TEXT NOT NULL
);
CREATE INDEX environment_errors_by_environment ON environment_errors (environment_id);

CREATE TABLE object_states (
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    api_group      TEXT NOT NULL,
    kind           TEXT NOT NULL,
    namespace      TEXT NOT NULL, -- '' for cluster-scoped
    name           TEXT NOT NULL,
    version        TEXT NOT NULL,
    uid            TEXT NOT NULL,
    resource_version TEXT NOT NULL,
    health         TEXT NOT NULL,
    message        TEXT,
    summary        TEXT NOT NULL, -- JSON
    owners         TEXT NOT NULL, -- JSON
    managed        BIGINT NOT NULL,
    file           TEXT,
    commit_id      TEXT,
    digest         BLOB NOT NULL,
    created_ms     BIGINT NOT NULL,
    seen_ms        BIGINT NOT NULL,
    PRIMARY KEY (environment_id, api_group, kind, namespace, name)
);
-- The counts of health that every list of environments shows.
CREATE INDEX object_states_by_health ON object_states (environment_id, health);

CREATE TABLE commands (
    id             TEXT PRIMARY KEY,
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    cluster_id     TEXT NOT NULL,
    command        TEXT NOT NULL, -- JSON of NewCommand
    state          TEXT NOT NULL,
    message        TEXT,
    result         TEXT,
    created_by     TEXT NOT NULL,
    created_ms     BIGINT NOT NULL,
    deadline_ms    BIGINT NOT NULL,
    finished_ms    BIGINT
);
CREATE INDEX commands_pending ON commands (cluster_id, state);
CREATE INDEX commands_by_environment ON commands (environment_id, id);
CREATE INDEX environments_by_fingerprint ON environments (agent_fingerprint);
CREATE INDEX api_tokens_by_user ON api_tokens (user_id);


-- Written in the transaction of the change itself; the stream is read from here.
CREATE TABLE events (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id     TEXT,
    environment_id TEXT,
    time_ms        BIGINT NOT NULL,
    change         TEXT NOT NULL -- JSON of EventChange
);

CREATE TABLE audit (
    id         TEXT PRIMARY KEY,
    actor      TEXT NOT NULL,
    verb       TEXT NOT NULL,
    resource   TEXT NOT NULL,
    project_id TEXT,
    time_ms    BIGINT NOT NULL
);
