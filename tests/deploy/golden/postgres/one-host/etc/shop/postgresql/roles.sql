-- From harden.toml: the role, the database and what they may do. As often as you like, as a superuser:
--   psql -X -d postgres -f roles.sql
--   psql -X -d postgres -v verifier_file=FILE -f roles.sql     sets the password as well
-- FILE has the SCRAM verifier that PgBouncer's userlist.txt has, mode 0600, and is the superuser's own: so no password
-- is in an argument, in a log, or in this file.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';

-- The app's role: no superuser, and it cannot become one.
SELECT 'CREATE ROLE "shop"'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shop') \gexec
-- The limit is what the pools may open, and what migrations and people open directly.
ALTER ROLE "shop" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
    CONNECTION LIMIT 34;
\if :{?verifier_file}
\set verifier `cat :'verifier_file'`
ALTER ROLE "shop" PASSWORD :'verifier';
\unset verifier
\endif
-- On the role, because a setting of a session would leak to other clients of PgBouncer. A migration that needs longer
-- begins with SET statement_timeout = 0, on a direct connection.
ALTER ROLE "shop" SET statement_timeout = '20s';
-- A blocked statement gives up before those behind it do.
ALTER ROLE "shop" SET lock_timeout = '4s';
-- A transaction that nobody goes on with holds locks and a connection: no request lives longer than this.
ALTER ROLE "shop" SET idle_in_transaction_session_timeout = '30s';

-- Who looks at figures: all statistics, no table. It has no password until somebody gives it one.
SELECT 'CREATE ROLE "shop_monitor"'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shop_monitor') \gexec
ALTER ROLE "shop_monitor" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
    CONNECTION LIMIT 3;
ALTER ROLE "shop_monitor" SET statement_timeout = '10s';
GRANT pg_monitor TO "shop_monitor";

-- The database is the role's own. It is closed until its rights are set, so that a run which was interrupted goes on
-- where it stopped; one that was there before keeps the rights that it gives to others.
SELECT 'CREATE DATABASE "shop" OWNER "shop" ENCODING ''UTF8'' '
    'TEMPLATE template0 ALLOW_CONNECTIONS false'
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'shop') \gexec
SELECT NOT datallowconn AS is_new FROM pg_catalog.pg_database WHERE datname = 'shop' \gset
\if :is_new
REVOKE ALL ON DATABASE "shop" FROM PUBLIC;
ALTER DATABASE "shop" ALLOW_CONNECTIONS true;
\endif
GRANT CONNECT, TEMPORARY ON DATABASE "shop" TO "shop";
GRANT CONNECT ON DATABASE "shop" TO "shop_monitor";

\connect "shop"
SET client_min_messages = warning;
\if :is_new
-- Before PostgreSQL 15 everybody may make tables there.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
\endif
GRANT USAGE, CREATE ON SCHEMA public TO "shop";
SELECT 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements'
WHERE EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_stat_statements') \gexec
