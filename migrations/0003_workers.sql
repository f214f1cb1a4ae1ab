-- One row a worker: its lease and its slots. Liveness is written here and nowhere else; sessions carry none of their own.

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- SHA-256 of what the worker shows when it reports.
    credential_hash bytea NOT NULL,
    -- Rises with each start of the worker's process; 0 before the first.
    incarnation bigint NOT NULL DEFAULT 0,
    address text NOT NULL DEFAULT '',
    regions text[] NOT NULL DEFAULT '{}',
    slots integer NOT NULL DEFAULT 0,
    used_slots integer NOT NULL DEFAULT 0,
    last_seen_at timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workers_name_unique UNIQUE (name),
    CONSTRAINT workers_credential_unique UNIQUE (credential_hash),
    CONSTRAINT workers_credential_length CHECK (length(credential_hash) = 32),
    CONSTRAINT workers_slots_not_negative CHECK (slots >= 0 AND used_slots >= 0)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON workers TO wharf_system;
-- Placement is part of the statement by which a tenant creates a session, and gives the slot back in the one that ends it.
GRANT SELECT (id, incarnation, address, regions, slots, used_slots, last_seen_at) ON workers TO wharf_tenant;
GRANT UPDATE (used_slots) ON workers TO wharf_tenant;
