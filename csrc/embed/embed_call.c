/* embed_call.c - handlers in C. A client's request comes to the worker (take), which keeps a call,
 * with a number and a deadline, and puts a leat_request into the inbox. The answer names the call's
 * number (on_answer): a call that is over by then, late or cancelled, is not found.
 *
 * What is bounded is the number of requests that the program has not answered, not that of calls:
 * a program that stands still would else collect the requests of clients who have given up. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/admission.h"
#include "embed/embed.h"
#include "script/task/session.h"
#include "script/value/pattern.h"
#include "wire/json.h"

typedef struct embed_call {
    leat_map_entry entry; /* in worker->calls, by number */
    uint64_t number;
    embed_worker *worker;
    leat_call *call;
    leat_deadline deadline;
    const char *refusal; /* why the program gives no answer; NULL: it may */
} embed_call;

struct leat_request {
    inbox_item item;
    leat_list link; /* in server->requests */
    leat_server *server;
    size_t worker;
    uint64_t number;
    const embed_handler *handler;
    leat_slice name; /* of the copies below; each has a zero byte behind it */
    leat_slice data;
    leat_slice user;
    leat_slice user_id;
    char text[];
};

struct answer {
    leat_worker_job job;
    leat_server *server;
    uint64_t number;
    leat_code code;
    bool has_json;
    size_t len;
    char text[]; /* the JSON, or the message */
};

/* --- on the worker --- */

static leat_slice number_key(const uint64_t *number)
{
    return (leat_slice){(const char *)number, sizeof(*number)};
}

static leat_core *core_of(const embed_worker *w)
{
    return leat_worker_core(w->worker);
}

static void free_call(embed_call *c)
{
    leat_map_remove(&c->worker->calls, &c->entry);
    leat_deadline_cancel(&c->deadline);
    c->call->task_ = NULL;
    free(c);
}

static void decide(embed_call *c, const leat_verdict *verdict)
{
    leat_call *call = c->call;
    free_call(c);
    call->cb(call, verdict);
}

static void on_refusal(leat_deadline *d)
{
    embed_call *c = LEAT_CONTAINER_OF(d, embed_call, deadline);
    leat_verdict verdict = {
        .failure =
            {
                .code = LEAT_CODE_UNAVAILABLE,
                .message = leat_slice_of(c->refusal),
                .retry_after_ms = leat_admission_retry_ms(core_of(c->worker)),
            },
    };
    decide(c, &verdict);
}

/* On the next turn: an answer never comes from inside a request, nor from inside a drain. */
static void refuse_soon(embed_call *c, const char *why)
{
    c->refusal = why;
    leat_loop_after(core_of(c->worker)->loop, &c->deadline, 0, on_refusal);
}

static void on_deadline(leat_deadline *d)
{
    leat_verdict verdict = {.failure = {.code = LEAT_CODE_DEADLINE_EXCEEDED, .read_failed = true}};
    decide(LEAT_CONTAINER_OF(d, embed_call, deadline), &verdict);
}

static void cancel(leat_native *n, leat_call *call)
{
    (void)n;
    if (call->task_ != NULL)
        free_call(call->task_);
}

static const embed_handler *find_handler(const leat_server *s, leat_native_kind kind,
                                         leat_slice name)
{
    for (const leat_list *l = s->handlers.next; l != &s->handlers; l = l->next) {
        const embed_handler *h = LEAT_CONTAINER_OF(l, const embed_handler, link);
        if (h->kind != kind)
            continue;
        if (kind == LEAT_NATIVE_METHOD ? leat_slice_is(name, h->name)
                                       : leat_pattern_matches(h->pattern, name))
            return h;
    }
    return NULL;
}

static leat_slice put_text(char **at, leat_slice text)
{
    leat_slice copy = {text.at == NULL ? NULL : *at, text.len};
    if (text.len > 0) {
        LEAT_ASSUME(text.at != NULL);
        memcpy(*at, text.at, text.len);
    }
    *at += text.len + 1;
    return copy;
}

static void drop_request(inbox_item *item)
{
    (void)item; /* it is in server->requests, which embed_calls_free empties */
}

static void tell_request(inbox_item *item)
{
    leat_request *r = LEAT_CONTAINER_OF(item, leat_request, item);
    r->handler->fn(r->handler->arg, r);
}

static leat_request *new_request(const embed_handler *h, const leat_session *session,
                                 leat_slice name, leat_slice body)
{
    leat_slice user = leat_session_user(session);
    leat_request *r = leat_calloc(1, sizeof(*r) + name.len + body.len + user.len +
                                         leat_session_user_id(session).len + 4);
    char *at = r->text;
    r->item = (inbox_item){.run = tell_request, .drop = drop_request};
    r->handler = h;
    r->name = put_text(&at, name);
    r->data = put_text(&at, body);
    r->user = put_text(&at, user);
    r->user_id = put_text(&at, leat_session_user_id(session));
    return r;
}

static void ask_program(embed_worker *w, uint64_t number, leat_request *r)
{
    leat_server *s = w->server;
    r->server = s;
    r->worker = leat_worker_index(w->worker);
    r->number = number;
    w->n_requests++;
    leat_metrics_add(core_of(w)->metrics, LEAT_M_HOST_REQUESTS, 1);
    pthread_mutex_lock(&s->lock);
    leat_list_push(&s->requests, &r->link);
    if (s->phase != EMBED_STARTING)
        inbox_put(&s->inbox, &r->item);
    pthread_mutex_unlock(&s->lock);
}

void embed_calls_begin(leat_server *s)
{
    for (leat_list *l = s->requests.next; l != &s->requests; l = l->next)
        inbox_put(&s->inbox, &LEAT_CONTAINER_OF(l, leat_request, link)->item);
}

static const char stopping[] = "the server is stopping";

/* Returns why the program cannot be asked, or NULL. */
static const char *refusal(const embed_worker *w)
{
    const leat_config *config = &w->server->config;
    size_t share = (config->max_host_requests + config->workers - 1) / config->workers;
    if (w->ends)
        return stopping;
    return w->n_requests < share ? NULL : "too much waits for an answer; try again later";
}

static embed_call *new_call(embed_worker *w, leat_call *call)
{
    embed_call *c = leat_calloc(1, sizeof(*c));
    c->worker = w;
    c->call = call;
    c->number = ++w->last_call;
    call->task_ = c;
    leat_deadline_init(&c->deadline);
    return c;
}

static bool take(leat_native *n, leat_native_kind kind, leat_call *call, leat_session *session,
                 leat_slice name, leat_slice body, uint64_t deadline_ms)
{
    embed_worker *w = (embed_worker *)n;
    leat_core *core = core_of(w);
    const embed_handler *h = find_handler(w->server, kind, name);
    if (h == NULL)
        return false;
    embed_call *c = new_call(w, call);
    const char *why = refusal(w);
    if (why == NULL) {
        ask_program(w, c->number, new_request(h, session, name, body));
        leat_loop_at(core->loop, &c->deadline, deadline_ms, on_deadline);
    } else {
        leat_metrics_add(core->metrics, LEAT_M_HOST_REFUSED, w->ends ? 0 : 1);
        refuse_soon(c, why);
    }
    leat_map_add(&w->calls, &c->entry, number_key(&c->number));
    return true;
}

static const leat_native_ops ops = {take, cancel};

leat_native *embed_calls_open(embed_worker *w)
{
    w->native.ops = &ops;
    return leat_list_empty(&w->server->handlers) ? NULL : &w->native;
}

void embed_calls_end(embed_worker *w)
{
    w->ends = true;
    for (leat_map_entry *e = leat_map_next(&w->calls, NULL); e != NULL;
         e = leat_map_next(&w->calls, e))
        refuse_soon(LEAT_CONTAINER_OF(e, embed_call, entry), stopping);
}

static void on_answer(leat_worker_job *job, leat_worker *worker)
{
    struct answer *a = LEAT_CONTAINER_OF(job, struct answer, job);
    embed_worker *w = embed_worker_on(a->server, worker);
    leat_map_entry *found = leat_map_get(&w->calls, number_key(&a->number));
    leat_verdict verdict = {.failure = {.code = a->code}};
    if (a->code == LEAT_CODE_OK && a->has_json)
        verdict.json = (leat_slice){a->text, a->len};
    else if (a->code != LEAT_CODE_OK)
        verdict.failure.message = (leat_slice){a->text, a->len};
    w->n_requests--;
    leat_metrics_add(core_of(w)->metrics, LEAT_M_HOST_REQUESTS, -1);
    if (found != NULL)
        decide(LEAT_CONTAINER_OF(found, embed_call, entry), &verdict);
    free(a);
}

/* --- on the program's side --- */

static void send_answer(leat_request *r, leat_code code, const char *text)
{
    leat_server *s = r->server;
    size_t len = text == NULL ? 0 : strlen(text);
    struct answer *a = leat_calloc(1, sizeof(*a) + len + 1);
    a->job.run = on_answer;
    a->server = s;
    a->number = r->number;
    a->code = code;
    a->has_json = text != NULL;
    a->len = len;
    if (len > 0)
        memcpy(a->text, text, len);
    pthread_mutex_lock(&s->lock);
    leat_list_unlink(&r->link);
    pthread_mutex_unlock(&s->lock);
    if (!embed_give_back(s, r->worker, &a->job))
        free(a); /* the worker has gone, and the client with it */
    free(r);
}

/* A message of the wire is one line. JSON has line breaks only between its tokens. */
static char *on_one_line(const char *json)
{
    char *copy = leat_strdup(json);
    for (char *c = copy; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    return copy;
}

void leat_answer(leat_request *r, const char *json)
{
    if (json == NULL) {
        send_answer(r, LEAT_CODE_OK, NULL);
        return;
    }
    if (leat_json_validate(leat_slice_of(json), LEAT_JSON_MAX_DEPTH) < 0) {
        send_answer(r, LEAT_CODE_INTERNAL, NULL);
        return;
    }
    char *copy = on_one_line(json);
    send_answer(r, LEAT_CODE_OK, copy);
    free(copy);
}

void leat_refuse(leat_request *r, const char *code, const char *message)
{
    leat_code known = LEAT_CODE_INTERNAL;
    if (code == NULL || leat_code_parse(&known, code) < 0 || known == LEAT_CODE_OK)
        known = LEAT_CODE_INTERNAL;
    send_answer(r, known, message);
}

const char *leat_request_name(const leat_request *r)
{
    return r->name.at;
}

const char *leat_request_data(const leat_request *r, size_t *len)
{
    if (len != NULL)
        *len = r->data.len;
    return r->data.at;
}

const char *leat_request_user(const leat_request *r)
{
    return r->user.at;
}

const char *leat_request_user_id(const leat_request *r)
{
    return r->user_id.at;
}

/* --- before the start, and at the end --- */

static embed_handler *add_handler(leat_server *s, leat_native_kind kind, leat_request_fn fn,
                                  void *arg)
{
    embed_handler *h = leat_calloc(1, sizeof(*h));
    h->kind = kind;
    h->fn = fn;
    h->arg = arg;
    leat_list_push(&s->handlers, &h->link);
    return h;
}

int leat_on_method(leat_server *s, const char *method, leat_request_fn on_request, void *arg,
                   leat_error *error)
{
    embed_check(!s->started, "leat_on_method", "only before leat_start");
    if (method == NULL || on_request == NULL)
        return embed_fail(error, "usage", "expected a method and a function");
    if (find_handler(s, LEAT_NATIVE_METHOD, leat_slice_of(method)) != NULL)
        return embed_fail(error, "usage", "method %s has a handler already", method);
    add_handler(s, LEAT_NATIVE_METHOD, on_request, arg)->name = leat_strdup(method);
    return 0;
}

int leat_on_publish(leat_server *s, const char *pattern, leat_request_fn on_request, void *arg,
                    leat_error *error)
{
    char reason[200];
    leat_pattern *compiled = NULL;
    embed_check(!s->started, "leat_on_publish", "only before leat_start");
    if (pattern == NULL || on_request == NULL)
        return embed_fail(error, "usage", "expected a pattern and a function");
    if (leat_pattern_new(&compiled, leat_slice_of(pattern), false, reason, sizeof(reason)) < 0)
        return embed_fail(error, "usage", "pattern %s: %s", pattern, reason);
    add_handler(s, LEAT_NATIVE_PUBLISH, on_request, arg)->pattern = compiled;
    return 0;
}

void embed_calls_free(leat_server *s)
{
    for (leat_list *l = leat_list_shift(&s->requests); l != NULL; l = leat_list_shift(&s->requests))
        free(LEAT_CONTAINER_OF(l, leat_request, link));
    for (leat_list *l = leat_list_shift(&s->handlers); l != NULL;
         l = leat_list_shift(&s->handlers)) {
        embed_handler *h = LEAT_CONTAINER_OF(l, embed_handler, link);
        leat_pattern_free(h->pattern);
        free(h->name);
        free(h);
    }
    if (s->workers != NULL)
        for (size_t i = 0; i < s->config.workers; i++)
            leat_map_close(&s->workers[i].calls);
}
