#include "app/doctor_sql.h"

#define REMEDY "pg_catalog.format('leat migrate --grant-server %I', current_user)"

/* leat_migrate_check says it if the schema is not there; a table or function that is missing means
 * another version, which it says, too. */
const char leat_doctor_role_sql[] =
    "with named (name, severity) as (values ('attend', 'fatal'), ('position', 'fatal'),"
    "   ('trim', 'error'), ('problems', 'warning')),"
    " home as (select oid from pg_catalog.pg_namespace where nspname = 'leat'),"
    " relation as (select c.oid, c.relname from pg_catalog.pg_class c join home h"
    "   on h.oid = c.relnamespace"
    "   where c.relname in ('topic', 'event', 'installation', 'migration')),"
    " function as (select p.oid, n.name, n.severity from pg_catalog.pg_proc p join home h"
    "   on h.oid = p.pronamespace join named n on n.name = p.proname)"
    " select 'fatal', pg_catalog.format('the database has encoding %s',"
    "     pg_catalog.current_setting('server_encoding')), 'make one with encoding UTF8'"
    "   where pg_catalog.current_setting('server_encoding') <> 'UTF8'"
    " union all"
    " select 'fatal', pg_catalog.format('role %I has no right to use schema leat', "
    "current_user), " REMEDY "   from home where not pg_catalog.has_schema_privilege(oid, 'usage')"
    " union all"
    " select 'fatal', pg_catalog.format('role %I may not read leat.%s', current_user, "
    "relname), " REMEDY "   from relation where not pg_catalog.has_table_privilege(oid, 'select')"
    " union all"
    " select 'fatal',"
    "   pg_catalog.format('row security may hide rows of leat.%s from role %I', relname,"
    "     current_user),"
    "   pg_catalog.format('alter table leat.%s disable row level security', relname)"
    "   from relation where pg_catalog.has_table_privilege(oid, 'select')"
    "     and pg_catalog.row_security_active(oid)"
    " union all"
    " select severity, pg_catalog.format('role %I may not execute leat.%s', current_user, "
    "name), " REMEDY "   from function where not pg_catalog.has_function_privilege(oid, 'execute')"
    " order by 1 desc, 2";

const char leat_doctor_formats_sql[] =
    "select 'warning',"
    "   pg_catalog.format('%s is %s for role %I, and a pooler in transaction mode does not keep "
    "what"
    " leat sets instead', s.name, s.setting, current_user),"
    "   pg_catalog.format('alter role %I set %s = %L', current_user, s.name, w.wanted)"
    "   from pg_catalog.pg_settings s"
    "   join (values ('bytea_output', 'hex'), ('IntervalStyle', 'postgres')) w (name, wanted)"
    "     on w.name = s.name"
    "  where s.setting <> w.wanted";
