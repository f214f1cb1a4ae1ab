-- Certificate authorities that a project's sessions may be told to trust, and everything that a session's browser carried.

CREATE TABLE certificates (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    -- Certificates and nothing else, in PEM. No key is ever stored.
    pem text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT certificates_pem_size CHECK (octet_length(pem) BETWEEN 1 AND 65536)
);

CREATE INDEX certificates_by_project ON certificates (project_id, id DESC);

ALTER TABLE certificates ENABLE ROW LEVEL SECURITY;
ALTER TABLE certificates FORCE ROW LEVEL SECURITY;
CREATE POLICY certificates_tenant ON certificates TO wharf_tenant USING (project_id = current_project());
CREATE POLICY certificates_system ON certificates TO wharf_system USING (true);
GRANT SELECT, INSERT, DELETE ON certificates TO wharf_tenant;
GRANT SELECT ON certificates TO wharf_system;

-- Both ways, whatever the road. Not billed, so the ledger has no such column. An older program reports none.
ALTER TABLE session_usage ADD COLUMN egress_bytes bigint NOT NULL DEFAULT 0;
