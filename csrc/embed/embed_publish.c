/* embed_publish.c - leat_publish and its like: one statement, which goes to a worker as a job
 * (on_worker), runs on the worker's pool (on_result), and comes back as an item (tell). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/embed.h"
#include "pg/pg_job.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

struct statement {
    leat_worker_job job;
    leat_pg_job query;
    inbox_item item;
    leat_server *server;
    const char *sql;
    leat_pg_param params[3]; /* at == NULL: SQL null */
    int n_params;
    leat_done_fn on_done;
    void *arg;
    bool failed;
    leat_error error;
    char text[]; /* the params, zero-terminated each */
};

/* --- on the program's side --- */

static void drop(inbox_item *item)
{
    free(LEAT_CONTAINER_OF(item, struct statement, item));
}

static void tell(inbox_item *item)
{
    struct statement *s = LEAT_CONTAINER_OF(item, struct statement, item);
    s->on_done(s->arg, s->failed ? &s->error : NULL);
    free(s);
}

/* --- on the worker --- */

static void finish(struct statement *s)
{
    if (s->on_done == NULL) {
        free(s);
        return;
    }
    s->item = (inbox_item){.run = tell, .drop = drop};
    inbox_put(&s->server->inbox, &s->item);
}

static void fail(struct statement *s, leat_code code, const char *reason)
{
    s->failed = true;
    embed_fail(&s->error, leat_code_name(code), "%s",
               reason != NULL ? reason : leat_code_sentence(code));
    finish(s);
}

static leat_code code_of(const leat_pg_result *res, int err)
{
    if (err == LEAT_EDEADLINE)
        return LEAT_CODE_DEADLINE_EXCEEDED;
    if (err != LEAT_EPG_SERVER)
        return LEAT_CODE_UNAVAILABLE;
    return leat_sqlstate_is_passing(leat_pg_result_sqlstate(res)) ? LEAT_CODE_UNAVAILABLE
                                                                  : LEAT_CODE_BAD_REQUEST;
}

static void on_result(leat_pg_job *query, leat_pg_result *res, int err)
{
    struct statement *s = LEAT_CONTAINER_OF(query, struct statement, query);
    if (err < 0)
        fail(s, code_of(res, err), leat_pg_job_reason(res, err));
    else
        finish(s);
}

static void on_worker(leat_worker_job *job, leat_worker *w)
{
    struct statement *s = LEAT_CONTAINER_OF(job, struct statement, job);
    if (!leat_worker_serves(w)) {
        fail(s, LEAT_CODE_UNAVAILABLE, "the server is stopping");
        return;
    }
    leat_core *core = leat_worker_core(w);
    leat_pg_job_init(&s->query);
    leat_pg_job_start(&s->query, core->pool, s->sql, s->params, s->n_params,
                      leat_loop_now(core->loop) + core->limits->control_timeout_ms, on_result);
}

/* --- beginning --- */

static size_t size_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

/* params: n_params texts, the topic first. NULL is SQL's null. */
static struct statement *new_statement(leat_server *server, const char *sql,
                                       const char *const *params, int n_params)
{
    size_t size = 0;
    for (int i = 0; i < n_params; i++)
        size += size_of(params[i]);
    struct statement *s = leat_calloc(1, sizeof(*s) + size);
    char *at = s->text;
    for (int i = 0; i < n_params; i++) {
        size_t len = size_of(params[i]);
        if (len == 0)
            continue;
        memcpy(at, params[i], len);
        s->params[i] = (leat_slice){at, len - 1};
        at += len;
    }
    s->job.run = on_worker;
    s->server = server;
    s->sql = sql;
    s->n_params = n_params;
    return s;
}

/* What is published to one topic goes to one worker. */
static size_t number_of(const char *topic)
{
    size_t sum = 5381;
    for (; *topic != '\0'; topic++)
        sum = sum * 33 + (unsigned char)*topic;
    return sum;
}

static int begin(leat_server *server, struct statement *s, leat_done_fn on_done, void *arg,
                 leat_error *error)
{
    s->on_done = on_done;
    s->arg = arg;
    size_t worker = 0;
    int err = embed_post(server, number_of(s->text), &worker, &s->job, error);
    if (err < 0)
        free(s);
    return err;
}

static int check_topic(const char *topic, leat_error *error)
{
    if (topic != NULL && leat_v1_topic_ok(leat_slice_of(topic)))
        return 0;
    return embed_fail(error, "bad_request",
                      "malformed topic: 1 to 255 bytes of UTF-8 without control characters");
}

static int check_data(const char *data, leat_error *error)
{
    if (data != NULL && leat_json_validate(leat_slice_of(data), LEAT_JSON_MAX_DEPTH) == 0)
        return 0;
    return embed_fail(error, "bad_request", "data is not JSON");
}

int leat_publish(leat_server *s, const char *topic, const char *data, leat_done_fn on_done,
                 void *arg, leat_error *error)
{
    const char *params[] = {topic, data};
    if (check_topic(topic, error) < 0 || check_data(data, error) < 0)
        return -1;
    return begin(s, new_statement(s, LEAT_SQL_PUBLISH, params, 2), on_done, arg, error);
}

int leat_signal(leat_server *s, const char *topic, const char *data, const char *conflate,
                leat_done_fn on_done, void *arg, leat_error *error)
{
    const char *params[] = {topic, data, conflate};
    if (check_topic(topic, error) < 0 || check_data(data, error) < 0)
        return -1;
    return begin(s, new_statement(s, LEAT_SQL_SIGNAL, params, 3), on_done, arg, error);
}

int leat_revoke(leat_server *s, const char *topic, const char *subject, leat_done_fn on_done,
                void *arg, leat_error *error)
{
    const char *params[] = {topic, subject};
    if (check_topic(topic, error) < 0)
        return -1;
    return begin(s, new_statement(s, LEAT_SQL_REVOKE, params, 2), on_done, arg, error);
}

int leat_resync(leat_server *s, const char *topic, leat_done_fn on_done, void *arg,
                leat_error *error)
{
    const char *params[] = {topic};
    if (check_topic(topic, error) < 0)
        return -1;
    return begin(s, new_statement(s, LEAT_SQL_RESYNC, params, 1), on_done, arg, error);
}
