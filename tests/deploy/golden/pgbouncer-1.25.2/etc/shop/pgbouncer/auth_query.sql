-- Written by harden from harden.toml and pgbouncer/templates/auth_query.sql.j2; changes here are lost at the next
-- release. Run it as a superuser in the database app: psql -d app -f auth_query.sql
--
-- It lets PgBouncer ask for one role's verifier, so that a changed password needs no change of a file. The server's
-- pg_hba.conf needs this line above wider ones:
--   local "app" "shop-pgbouncer" peer

BEGIN;

DO $body$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shop-pgbouncer') THEN
        CREATE ROLE "shop-pgbouncer" LOGIN;
    END IF;
END
$body$;

-- It may do nothing else: the schema is no place for its own objects, and the function is nobody else's.
CREATE SCHEMA IF NOT EXISTS "shop-pgbouncer";
REVOKE ALL ON SCHEMA "shop-pgbouncer" FROM PUBLIC;
GRANT USAGE ON SCHEMA "shop-pgbouncer" TO "shop-pgbouncer";
GRANT CONNECT ON DATABASE "app" TO "shop-pgbouncer";

-- SECURITY DEFINER: it runs as a superuser, who alone may see verifiers; so its search_path is fixed, it answers for
-- the app's role alone, never for a superuser, and not after VALID UNTIL (CVE-2025-2291).
CREATE OR REPLACE FUNCTION "shop-pgbouncer".verifier_of(asked text, OUT role text, OUT verifier text)
RETURNS SETOF record LANGUAGE sql STABLE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT rolname::text, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END
    FROM pg_catalog.pg_authid
    WHERE rolname = asked AND rolname = 'app' AND rolcanlogin AND NOT rolsuper
$body$;
REVOKE ALL ON FUNCTION "shop-pgbouncer".verifier_of(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION "shop-pgbouncer".verifier_of(text) TO "shop-pgbouncer";

COMMIT;
