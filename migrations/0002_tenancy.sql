-- Organizations own projects; projects own API keys. A project is the wall between tenants.

CREATE TABLE organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT organizations_name_unique UNIQUE (name)
);

GRANT SELECT, INSERT, UPDATE ON organizations TO wharf_system;

-- The counters change only in the statements that admit and end a session, together with the session's row. That makes
-- the limits exact under race: a statement that waited for this row sees its newest values, which a count would not.
CREATE TABLE projects (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (id),
    name text NOT NULL,
    default_timeout_seconds integer NOT NULL DEFAULT 3600,
    concurrency integer NOT NULL,
    creates_per_minute integer NOT NULL,
    active_sessions integer NOT NULL DEFAULT 0,
    window_started_at timestamptz NOT NULL DEFAULT '-infinity',
    window_creates integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_name_unique UNIQUE (organization_id, name),
    CONSTRAINT projects_default_timeout_range CHECK (default_timeout_seconds BETWEEN 60 AND 21600),
    CONSTRAINT projects_limits_positive CHECK (concurrency >= 1 AND creates_per_minute >= 1),
    CONSTRAINT projects_counters_not_negative CHECK (active_sessions >= 0 AND window_creates >= 0)
) WITH (fillfactor = 50);

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects FORCE ROW LEVEL SECURITY;
CREATE POLICY projects_tenant ON projects TO wharf_tenant USING (id = current_project());
CREATE POLICY projects_system ON projects TO wharf_system USING (true);
-- The counters, which a create changes; never its own limits.
GRANT SELECT, UPDATE (active_sessions, window_started_at, window_creates) ON projects TO wharf_tenant;
GRANT SELECT, INSERT, UPDATE ON projects TO wharf_system;

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    name text NOT NULL,
    -- SHA-256 of the key; the key itself is stored nowhere.
    hash bytea NOT NULL,
    -- Its last four characters, by which a person tells keys apart.
    hint text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT api_keys_hash_unique UNIQUE (hash),
    CONSTRAINT api_keys_hash_length CHECK (length(hash) = 32)
);

CREATE INDEX api_keys_by_project ON api_keys (project_id, id);

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY api_keys_tenant ON api_keys TO wharf_tenant USING (project_id = current_project());
CREATE POLICY api_keys_system ON api_keys TO wharf_system USING (true);
GRANT SELECT ON api_keys TO wharf_tenant;
GRANT SELECT, INSERT, UPDATE ON api_keys TO wharf_system;
