/* question_do.c - what an operator can do: `publish`, `resync`, `reload`, `disconnect`. Each is
 * logged with the user who did it, or who asked for it if nobody learns whether it was done. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "control/ask.h"
#include "core/client_end.h"
#include "wire/json.h"
#include "wire/written.h"

enum { QUERY_MS = 4000, TIMEOUT_MS = 5000 };

/* A worker that is far behind is asked no more. */
static bool is_with_worker(const leat_ask *ask)
{
    return ask->look.n_parts > 0 && ask->look.parts[ask->only] != NULL;
}

/* The part of the worker that was asked, if it has answered. */
static const leat_part *part_of(const leat_ask *ask)
{
    const leat_part *p = is_with_worker(ask) ? ask->look.parts[ask->only] : NULL;
    return p != NULL && p->answered ? p : NULL;
}

#define DONE "done by an operator "
#define ASKED "asked by an operator, not known to be done "

static void log_topic(const leat_ask *ask, bool done)
{
    char topic[300];
    const char *action = ask->kind->name;
    leat_log_quote(topic, sizeof(topic), ask->asked.name, strlen(ask->asked.name));
    if (done)
        LEAT_LOG_INFO("control", DONE "action=%s topic=%s by=%s door=%s", action, topic, ask->by,
                      ask->door);
    else
        LEAT_LOG_INFO("control", ASKED "action=%s topic=%s by=%s door=%s", action, topic, ask->by,
                      ask->door);
}

static void log_asked_topic(const leat_ask *ask)
{
    if (is_with_worker(ask))
        log_topic(ask, false);
}

/* --- publish --- */

/* The connection is needed until the position is known, so this is no leat_pg_job. */
struct publishing {
    leat_pg_waiter waiter;
    leat_pg_query query;
    leat_pg_pool *pool;
    leat_pg_conn *conn;
    uint64_t deadline_ms;
};

static const char publish_sql[] = "select leat.publish($1::text, $2::jsonb)";

/* True for the SQLSTATE classes 22 (data exception: JSON that jsonb cannot hold) and 54 (program
 * limit exceeded: an event that is too large). */
static bool is_about_data(const char *sqlstate)
{
    return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "54", 2) == 0;
}

static void fail(leat_part *part, leat_pg_result *res, int err)
{
    if (err != LEAT_EPG_SERVER)
        part->failed_as = LEAT_PART_IN_DOUBT;
    else if (is_about_data(leat_pg_result_sqlstate(res)))
        part->failed_as = LEAT_PART_REFUSED;
    leat_buf_text(&part->failure, leat_pg_job_reason(res, err));
}

/* Returns false if it was not done, or is not known to be. */
static bool topic_is_done(const leat_ask *ask, leat_buf *json)
{
    const leat_part *p = part_of(ask);
    bool done = p != NULL && p->found;
    leat_ask_write_failures(ask, json);
    if (done)
        log_topic(ask, true);
    else if (p == NULL || p->failed_as == LEAT_PART_IN_DOUBT)
        log_asked_topic(ask);
    return done;
}

static void take_position(leat_part *part, leat_slice report)
{
    leat_buf lines = LEAT_BUF_INIT;
    leat_written_position at;
    if (report.len > 0 && leat_written_add(&lines, report) == 0) {
        leat_slice rest = leat_buf_view(&lines);
        if (leat_written_next(&rest, &at)) {
            leat_buf_text(&part->json, ",\"epoch\":");
            leat_json_write_text(&part->json, at.epoch);
            leat_buf_printf(&part->json, ",\"seq\":%" PRId64, at.seq);
        }
    }
    leat_buf_close(&lines);
}

static void on_published(leat_pg_query *query, leat_pg_result *res, int err)
{
    leat_part *part = query->data;
    struct publishing *p = part->own;
    part->found = err == 0;
    if (err == 0)
        take_position(part, leat_pg_conn_report(p->conn));
    else
        fail(part, res, err);
    leat_pg_pool_release(p->pool, p->conn);
    leat_part_finish(part);
}

static void on_conn(leat_pg_waiter *waiter, leat_pg_conn *conn, int err)
{
    leat_part *part = waiter->data;
    struct publishing *p = part->own;
    leat_pg_param params[] = {leat_slice_of(part->asked.name), leat_slice_of(part->asked.data)};
    p->conn = conn;
    if (err == 0) {
        leat_pg_conn_send_leading(conn, LEAT_PG_REPORT_SQL);
        err = leat_pg_conn_query(conn, &p->query, publish_sql, params, 2, p->deadline_ms,
                                 on_published);
        if (err == 0)
            return;
        leat_pg_pool_release(p->pool, conn);
    }
    fail(part, NULL, err);
    leat_part_finish(part);
}

static leat_work publish(leat_part *part, leat_worker *w)
{
    leat_core *core = leat_worker_core(w);
    struct publishing *p = leat_calloc(1, sizeof(*p));
    part->own = p;
    p->pool = core->pool;
    p->deadline_ms = leat_loop_now(core->loop) + QUERY_MS;
    p->query.data = part;
    leat_pg_waiter_init(&p->waiter);
    p->waiter.data = part;
    leat_pg_pool_acquire(core->pool, &p->waiter, p->deadline_ms, on_conn);
    return LEAT_WORK_WAITS;
}

static const leat_question do_publish = {publish, TIMEOUT_MS};

static int write_published(leat_ask *ask, leat_buf *json)
{
    const leat_part *p = part_of(ask);
    if (!topic_is_done(ask, json) || p == NULL)
        return p != NULL && p->failed_as == LEAT_PART_REFUSED ? 400 : 503;
    leat_buf_text(json, ",\"topic\":");
    leat_json_write_text(json, leat_slice_of(ask->asked.name));
    leat_buf_slice(json, leat_buf_view(&p->json));
    return 200;
}

const leat_ask_kind leat_ask_publish = {
    .method = "POST",
    .name = "publish",
    .needs_name = true,
    .needs_body = true,
    .question = &do_publish,
    .write = write_published,
    .log_asked = log_asked_topic,
};

/* --- resync --- */

static void on_resynced(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_part *part = LEAT_CONTAINER_OF(job, leat_part, query);
    part->found = err == 0;
    if (err < 0)
        fail(part, res, err);
    leat_part_finish(part);
}

static leat_work resync(leat_part *part, leat_worker *w)
{
    leat_core *core = leat_worker_core(w);
    leat_pg_param topic = leat_slice_of(part->asked.name);
    leat_pg_job_start(&part->query, core->pool, "select leat.resync($1::text)", &topic, 1,
                      leat_loop_now(core->loop) + QUERY_MS, on_resynced);
    return LEAT_WORK_WAITS;
}

static const leat_question do_resync = {resync, TIMEOUT_MS};

static int write_resynced(leat_ask *ask, leat_buf *json)
{
    return topic_is_done(ask, json) ? 200 : 503;
}

const leat_ask_kind leat_ask_resync = {
    .method = "POST",
    .name = "resync",
    .needs_name = true,
    .question = &do_resync,
    .write = write_resynced,
    .log_asked = log_asked_topic,
};

/* --- the level of the log --- */

static int write_levels(leat_ask *ask, leat_buf *json)
{
    leat_log_levels levels = leat_engine_log_levels(ask->inside->engine);
    leat_buf_text(json, ",\"levels\":\"");
    leat_log_levels_write(&levels, json);
    leat_buf_char(json, '"');
    return 200;
}

const leat_ask_kind leat_ask_log = {
    .method = "GET",
    .name = "log",
    .only = LEAT_LOOK_ALL,
    .write = write_levels,
};

static int set_levels(leat_ask *ask, leat_buf *json)
{
    leat_log_levels levels;
    if (ask->asked.name == NULL || leat_log_levels_parse(&levels, ask->asked.name) < 0) {
        leat_buf_text(json, ",\"error\":\"name: expected levels, as in info,pg=debug\"");
        return 400;
    }
    leat_engine_set_log_levels(ask->inside->engine, &levels);
    leat_log_write_always("control", DONE "action=log_level levels=\"%s\" by=%s door=%s",
                          ask->asked.name, ask->by, ask->door);
    return write_levels(ask, json);
}

const leat_ask_kind leat_ask_log_level = {
    .method = "POST",
    .name = "log_level",
    .only = LEAT_LOOK_ALL,
    .write = set_levels,
};

/* --- reload --- */

static int reload(leat_ask *ask, leat_buf *json)
{
    (void)json;
    LEAT_LOG_INFO("control", DONE "action=reload by=%s door=%s", ask->by, ask->door);
    kill(getpid(), SIGHUP); /* the process reads its configuration again, too */
    return 200;
}

const leat_ask_kind leat_ask_reload = {
    .method = "POST",
    .name = "reload",
    .only = LEAT_LOOK_ALL,
    .write = reload,
};

/* --- disconnect --- */

static leat_work disconnect(leat_part *part, leat_worker *w)
{
    leat_client *client = leat_view_find_client(leat_worker_core(w), part->asked.number);
    part->found = client != NULL;
    if (client != NULL)
        client_close(client, LEAT_CLOSE_GOING_AWAY, "closed by the operator");
    return LEAT_WORK_DONE;
}

static const leat_question do_disconnect = {disconnect, TIMEOUT_MS};

static void log_asked_client(const leat_ask *ask)
{
    if (is_with_worker(ask))
        LEAT_LOG_INFO("control", ASKED "action=disconnect client=%d-%" PRIu64 " by=%s door=%s",
                      ask->only, ask->asked.number, ask->by, ask->door);
}

static int write_disconnected(leat_ask *ask, leat_buf *json)
{
    const leat_part *p = part_of(ask);
    if (p == NULL) {
        log_asked_client(ask);
        return 503;
    }
    if (!p->found) {
        leat_buf_text(json, ",\"code\":\"not_found\",\"message\":\"there is no such client\"");
        return 404;
    }
    LEAT_LOG_INFO("control", DONE "action=disconnect client=%d-%" PRIu64 " by=%s door=%s",
                  ask->only, ask->asked.number, ask->by, ask->door);
    return 200;
}

const leat_ask_kind leat_ask_disconnect = {
    .method = "POST",
    .name = "disconnect",
    .needs_client = true,
    .question = &do_disconnect,
    .write = write_disconnected,
    .log_asked = log_asked_client,
};
