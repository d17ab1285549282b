/* question_sql.c - `watches` and `postgres`: one statement on the pool of the first worker, as the
 * server's role may run it. It returns one JSON object. */
#include "control/ask.h"
#include "wire/json.h"

enum { QUERY_MS = 3000, TIMEOUT_MS = 4000 };

/* As the view leat.watched, which a server's role need not see; and what is wrong with watches. A
 * watch has three triggers, which fire always if all is well; one that vanished has none. */
static const char watches_sql[] =
    "select pg_catalog.json_build_object('watches', coalesce((select pg_catalog.json_agg(x) from ("
    "  select w.tgrelid::pg_catalog.regclass::text as \"table\","
    "         pg_catalog.split_part(pg_catalog.encode(w.tgargs, 'escape'), E'\\\\000', 2) as "
    "topics,"
    "         w.tgenabled = 'A' as fires,"
    "         (select pg_catalog.count(*) = 3 from pg_catalog.pg_trigger t"
    "           where t.tgrelid = w.tgrelid and t.tgenabled = 'A' and t.tgname in"
    "             (w.tgname, w.tgname || '_statement', w.tgname || '_truncate')) as complete"
    "    from pg_catalog.pg_trigger w"
    "    join pg_catalog.pg_proc p on p.oid = w.tgfoid and p.proname = 'on_change'"
    "    join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = 'leat_internal'"
    "   where w.tgparentid = 0"
    "  union all"
    "  select v.\"table\"::text, v.topic_template, false, false"
    "    from leat_internal.vanished_watches() v"
    "  order by 1, 2 limit 500) x), '[]'),"
    " 'problems', coalesce((select pg_catalog.json_agg(q) from ("
    "  select severity, problem, remedy from leat_internal.problems() limit 100) q), '[]'))";

static const char postgres_sql[] =
    "select pg_catalog.json_build_object("
    " 'version', pg_catalog.current_setting('server_version'),"
    " 'database', pg_catalog.current_database(), 'role', current_user,"
    " 'standby', pg_catalog.pg_is_in_recovery(),"
    " 'max_connections', pg_catalog.current_setting('max_connections')::integer,"
    " 'connections_in_use', (select pg_catalog.count(*) from pg_catalog.pg_stat_activity"
    "   where backend_type = 'client backend'),"
    " 'outbox_bytes', (select pg_catalog.pg_total_relation_size(c.oid) from pg_catalog.pg_class c"
    "   where c.oid = 'leat.event'::pg_catalog.regclass),"
    " 'outbox_events_about', (select greatest(c.reltuples, 0)::bigint from pg_catalog.pg_class c"
    "   where c.oid = 'leat.event'::pg_catalog.regclass),"
    " 'topics_about', (select greatest(c.reltuples, 0)::bigint from pg_catalog.pg_class c"
    "   where c.oid = 'leat.topic'::pg_catalog.regclass),"
    " 'connections', coalesce((select pg_catalog.json_agg(x) from ("
    "   select a.pid, a.application_name as name, a.state, a.wait_event as waits_for,"
    "          case when a.wait_event_type = 'Lock' then"
    "            (select pg_catalog.string_agg(pg_catalog.format('%s (%s, of %s)', b.pid,"
    "              coalesce(nullif(b.application_name, ''), 'no name'), coalesce(b.usename, '?')),"
    "              ', ') from pg_catalog.pg_stat_activity b"
    "              where b.pid = any(pg_catalog.pg_blocking_pids(a.pid))) end as blocked_by,"
    "          pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp()"
    "            - coalesce(a.query_start, a.backend_start))::numeric, 3) as for_s,"
    "          pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 200) as query"
    "     from pg_catalog.pg_stat_activity a"
    "    where a.datname = pg_catalog.current_database() and a.application_name like 'leat %'"
    "      and a.pid <> pg_catalog.pg_backend_pid()"
    "    order by a.state = 'active' desc, for_s desc limit 100) x), '[]'))";

static void on_result(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_part *part = LEAT_CONTAINER_OF(job, leat_part, query);
    if (err < 0)
        leat_buf_text(&part->failure, leat_pg_job_reason(res, err));
    else if (leat_pg_result_rows(res) == 1)
        leat_buf_slice(&part->json, leat_pg_result_value(res, 0, 0));
    leat_part_finish(part);
}

static leat_work run(leat_part *part, leat_worker *w, const char *sql)
{
    leat_core *core = leat_worker_core(w);
    leat_pg_job_start(&part->query, core->pool, sql, NULL, 0, leat_loop_now(core->loop) + QUERY_MS,
                      on_result);
    return LEAT_WORK_WAITS;
}

static leat_work run_watches(leat_part *part, leat_worker *w)
{
    return run(part, w, watches_sql);
}

static leat_work run_postgres(leat_part *part, leat_worker *w)
{
    return run(part, w, postgres_sql);
}

static const leat_question ask_watches = {run_watches, TIMEOUT_MS};
static const leat_question ask_postgres = {run_postgres, TIMEOUT_MS};

/* The statement's object becomes members of the answer. */
static int write_object(leat_ask *ask, leat_buf *json)
{
    leat_ask_write_failures(ask, json);
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered || p->json.len < 2)
            continue;
        leat_buf_char(json, ',');
        leat_buf_append(json, p->json.at + 1, p->json.len - 2);
        return 200;
    }
    return 503;
}

const leat_ask_kind leat_ask_watches = {
    .method = "GET",
    .name = "watches",
    .question = &ask_watches,
    .write = write_object,
};

const leat_ask_kind leat_ask_postgres = {
    .method = "GET",
    .name = "postgres",
    .question = &ask_postgres,
    .write = write_object,
};
