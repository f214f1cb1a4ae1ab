-- Sessions. Ids are UUIDv7: they sort by creation, so the primary key is also the partition key on the day that this
-- table is partitioned by time, and "newest first" is an index order.

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    status text NOT NULL DEFAULT 'PENDING',
    end_reason text,
    generation integer NOT NULL DEFAULT 1,
    region text NOT NULL,
    keep_alive boolean NOT NULL,
    timeout_seconds integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    -- Provisional while PENDING; set anew when the browser answers, since the timeout counts from there.
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    user_metadata jsonb,
    -- The options of the create call that are not columns, as they were asked for.
    options jsonb NOT NULL DEFAULT '{}',
    worker_id uuid NOT NULL REFERENCES workers (id),
    worker_incarnation bigint NOT NULL,
    worker_address text NOT NULL,
    CONSTRAINT sessions_status_known CHECK (status IN ('PENDING', 'RUNNING', 'COMPLETED', 'TIMED_OUT', 'ERROR')),
    CONSTRAINT sessions_end_complete CHECK (
        (status IN ('PENDING', 'RUNNING')) = (ended_at IS NULL) AND (ended_at IS NULL) = (end_reason IS NULL)
    ),
    CONSTRAINT sessions_metadata_object CHECK (jsonb_typeof(user_metadata) = 'object')
);

-- The two list queries, and the metadata filter: GIN serves selective keys; for broad ones the planner walks the first.
CREATE INDEX sessions_by_project ON sessions (project_id, id DESC);
CREATE INDEX sessions_by_status ON sessions (project_id, status, id DESC);
CREATE INDEX sessions_by_metadata ON sessions USING gin (user_metadata jsonb_path_ops);
-- What the reconcilers look for. Partial: ended sessions are many and never looked at.
CREATE INDEX sessions_live_by_expiry ON sessions (expires_at) WHERE status IN ('PENDING', 'RUNNING');
CREATE INDEX sessions_live_by_worker ON sessions (worker_id) WHERE status IN ('PENDING', 'RUNNING');

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_tenant ON sessions TO wharf_tenant USING (project_id = current_project());
CREATE POLICY sessions_system ON sessions TO wharf_system USING (true);
GRANT SELECT, INSERT, UPDATE ON sessions TO wharf_tenant, wharf_system;

-- The same rows as by the policy of wharf_tenant, for the search by metadata. Row level security lets only leakproof
-- operators reach an index before the policy is checked, and `@>` is not marked as one: on the table itself a tenant's
-- search would read every session of the project. The view reads with the rights of its owner, and since no tenant
-- writes SQL, there is nobody to whom the operator could leak.
CREATE VIEW own_sessions AS
    SELECT id, project_id, status, user_metadata FROM sessions WHERE project_id = current_project();
-- Before it changes hands: who makes it need not have its new owner's rights.
GRANT SELECT ON own_sessions TO wharf_tenant;
GRANT CREATE ON SCHEMA public TO wharf_system;
ALTER VIEW own_sessions OWNER TO wharf_system;
REVOKE CREATE ON SCHEMA public FROM wharf_system;

-- What each launch of a session used, counted from its start. Apart from the session's row, because it changes every few
-- seconds and that row has six indexes; half-empty pages keep the updates in place.
CREATE TABLE session_usage (
    session_id uuid NOT NULL REFERENCES sessions (id),
    generation integer NOT NULL,
    project_id uuid NOT NULL REFERENCES projects (id),
    running_ms bigint NOT NULL,
    cpu_ms bigint NOT NULL,
    memory_bytes bigint NOT NULL,
    proxy_bytes bigint NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (session_id, generation)
) WITH (fillfactor = 50);

ALTER TABLE session_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE session_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY session_usage_tenant ON session_usage TO wharf_tenant USING (project_id = current_project());
CREATE POLICY session_usage_system ON session_usage TO wharf_system USING (true);
GRANT SELECT ON session_usage TO wharf_tenant;
GRANT SELECT, INSERT, UPDATE ON session_usage TO wharf_system;
