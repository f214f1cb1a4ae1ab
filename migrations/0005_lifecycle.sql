-- What the control plane needs to be right about sessions through crashes: a queue for slots, drains, events, a ledger,
-- and what makes a repeated create the same create.

-- A session that waits for a slot is PENDING and has no place yet. It waits no longer than it is worth, and not for workers
-- on which its launch has failed.
ALTER TABLE sessions
    ADD COLUMN wait_until timestamptz,
    ADD COLUMN avoided_workers uuid[] NOT NULL DEFAULT '{}',
    ALTER COLUMN worker_id DROP NOT NULL,
    ALTER COLUMN worker_incarnation DROP NOT NULL,
    ALTER COLUMN worker_address DROP NOT NULL,
    ADD CONSTRAINT sessions_place_complete CHECK (
        (worker_id IS NULL) = (worker_incarnation IS NULL) AND (worker_id IS NULL) = (worker_address IS NULL)
        AND (worker_id IS NOT NULL OR status <> 'RUNNING')
    ) NOT VALID;
ALTER TABLE sessions VALIDATE CONSTRAINT sessions_place_complete;
CREATE INDEX sessions_waiting ON sessions (region, id) WHERE status = 'PENDING' AND worker_id IS NULL;

-- Where somebody waits, of whatever project: a create does not overtake them. It tells no more than that, so it may read
-- past the policy of the tenant that asks (see own_sessions).
CREATE VIEW waited_regions AS
    SELECT DISTINCT region FROM sessions WHERE status = 'PENDING' AND worker_id IS NULL AND wait_until > now();
GRANT SELECT ON waited_regions TO wharf_tenant;
GRANT CREATE ON SCHEMA public TO wharf_system;
ALTER VIEW waited_regions OWNER TO wharf_system;
REVOKE CREATE ON SCHEMA public FROM wharf_system;

-- An operator's wish, and the worker's own word that it is about to stop. Either keeps new sessions away.
ALTER TABLE workers
    ADD COLUMN draining boolean NOT NULL DEFAULT false,
    ADD COLUMN stopping boolean NOT NULL DEFAULT false,
    -- Which process registered last, by a number of its own choice: its call may come twice, the second time late.
    ADD COLUMN process bigint;
GRANT SELECT (draining, stopping) ON workers TO wharf_tenant;

-- Every transition of a session. Written by the statement that makes the transition, never changed. No foreign key: the
-- session's row is written by the same statement, and the check would lock it once more.
CREATE TABLE session_events (
    session_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    project_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    status text NOT NULL,
    generation integer NOT NULL,
    worker_id uuid,
    end_reason text,
    actor text NOT NULL,
    actor_id uuid,
    PRIMARY KEY (session_id, number),
    CONSTRAINT session_events_kind_known CHECK (kind IN ('queued', 'placed', 'started', 'ended')),
    CONSTRAINT session_events_actor_known CHECK (actor IN ('api_key', 'worker', 'reconciler', 'control_plane'))
);
ALTER TABLE session_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE session_events FORCE ROW LEVEL SECURITY;
CREATE POLICY session_events_tenant ON session_events TO wharf_tenant USING (project_id = current_project());
CREATE POLICY session_events_system ON session_events TO wharf_system USING (true);
GRANT SELECT, INSERT ON session_events TO wharf_tenant, wharf_system;

-- What is billed. Entry 1 is written by the statement that ends the session; later ones add what a worker reported only
-- afterwards. Nobody may change or delete a row.
CREATE TABLE usage_ledger (
    session_id uuid NOT NULL,
    generation integer NOT NULL,
    entry integer NOT NULL,
    project_id uuid NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz NOT NULL,
    browser_ms bigint NOT NULL,
    cpu_ms bigint NOT NULL,
    proxy_bytes bigint NOT NULL,
    PRIMARY KEY (session_id, generation, entry),
    CONSTRAINT usage_ledger_not_negative CHECK (browser_ms >= 0 AND cpu_ms >= 0 AND proxy_bytes >= 0)
);
CREATE INDEX usage_ledger_by_project ON usage_ledger (project_id, started_at);
ALTER TABLE usage_ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_ledger FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_ledger_tenant ON usage_ledger TO wharf_tenant USING (project_id = current_project());
CREATE POLICY usage_ledger_system ON usage_ledger TO wharf_system USING (true);
GRANT SELECT, INSERT ON usage_ledger TO wharf_tenant, wharf_system;

-- Sessions that ended before there was a ledger.
INSERT INTO usage_ledger (session_id, generation, entry, project_id, started_at, browser_ms, cpu_ms, proxy_bytes)
SELECT sessions.id, sessions.generation, 1, sessions.project_id, sessions.started_at,
       greatest(extract(epoch FROM ended_at - started_at) * 1000, 0)::bigint,
       coalesce(session_usage.cpu_ms, 0), coalesce(session_usage.proxy_bytes, 0)
FROM sessions
LEFT JOIN session_usage ON session_usage.session_id = sessions.id AND session_usage.generation = sessions.generation
WHERE ended_at IS NOT NULL AND started_at IS NOT NULL;

-- Which create calls made which sessions, as long as a call may be repeated. Only calls that can be told to be repeated
-- leave a row: those with an Idempotency-Key, and those of generated clients, which count their retries.
CREATE TABLE session_creations (
    session_id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    api_key_id uuid NOT NULL,
    idempotency_key text,
    body_hash bytea NOT NULL,
    -- Of the last call that was given this session.
    retry_count integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- When an answer was sent on a connection that did not break then: nobody repeats that call.
    delivered_at timestamptz,
    CONSTRAINT session_creations_hash_length CHECK (length(body_hash) = 32)
);
CREATE UNIQUE INDEX session_creations_key_unique ON session_creations (project_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX session_creations_undelivered ON session_creations (project_id, body_hash) WHERE delivered_at IS NULL;
CREATE INDEX session_creations_by_age ON session_creations (created_at);
ALTER TABLE session_creations ENABLE ROW LEVEL SECURITY;
ALTER TABLE session_creations FORCE ROW LEVEL SECURITY;
CREATE POLICY session_creations_tenant ON session_creations TO wharf_tenant USING (project_id = current_project());
CREATE POLICY session_creations_system ON session_creations TO wharf_system USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON session_creations TO wharf_tenant, wharf_system;

-- When some replica last looked after the workers. After a gap nobody is declared lost before the amnesty is over: it was
-- the control plane that was away, not the workers.
CREATE TABLE control_plane (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    looked_at timestamptz NOT NULL DEFAULT now(),
    amnesty_until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO control_plane DEFAULT VALUES;
GRANT SELECT, UPDATE ON control_plane TO wharf_system;

-- Sessions that a reconciler could not end. After five tries one is parked: it stands in nobody's way, and an operator
-- finds it here with the reason.
CREATE TABLE reconcile_failures (
    session_id uuid PRIMARY KEY,
    tries integer NOT NULL,
    last_error text NOT NULL,
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    last_failed_at timestamptz NOT NULL DEFAULT now()
);
CREATE VIEW parked_sessions AS SELECT session_id FROM reconcile_failures WHERE tries >= 5;
GRANT SELECT, INSERT, UPDATE, DELETE ON reconcile_failures TO wharf_system;
GRANT SELECT ON parked_sessions TO wharf_system;
