-- Every query runs in a transaction that first takes one of these two roles (store::Store::tenant, ::system).
-- Neither may bypass row level security. A statement that forgets its role or its project sees nothing, if the user that
-- the service connects as is one that `wharf up` makes: no superuser, and NOINHERIT.

DO $$
BEGIN
    CREATE ROLE wharf_tenant NOLOGIN NOBYPASSRLS;
EXCEPTION
    -- Roles belong to the cluster: another database of it has them already.
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

DO $$
BEGIN
    CREATE ROLE wharf_system NOLOGIN NOBYPASSRLS;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

GRANT wharf_tenant, wharf_system TO CURRENT_USER;

-- The project that a tenant's transaction speaks for. Null when none was set: then every comparison is unknown.
CREATE FUNCTION current_project() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('wharf.project', true), '')::uuid;
