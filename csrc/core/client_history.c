/* client_history.c - client_history_begin -> the outbox -> on_read -> the answer. */
#include "core/client_history.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"
#include "core/client_send.h"
#include "core/sub.h"
#include "outbox/excerpt.h"
#include "outbox/history.h"
#include "wire/leat_v1.h"

typedef struct history_request {
    leat_list link; /* in client_foreign's histories */
    leat_client *client;
    leat_excerpt *read;
    bool has_since;
    bool reverse;
    int64_t since;
    int64_t limit; /* as the client asked */
    leat_slice id; /* of the copies below */
    leat_slice topic;
    leat_slice epoch; /* of `since`; empty: whichever */
    char text[];
} history_request;

static void on_read(leat_excerpt *e, int err, size_t n, void *arg);

static const leat_slice none = {NULL, 0};

static leat_slice keep(char **at, leat_slice text)
{
    leat_slice copy = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return copy;
}

static history_request *make(leat_client *c, const leat_message *m)
{
    leat_slice epoch = m->has_since ? m->since_epoch : none;
    history_request *r = leat_calloc(1, sizeof(*r) + m->id.len + m->topic.len + epoch.len);
    char *at = r->text;
    r->client = c;
    r->has_since = m->has_since;
    r->reverse = m->reverse;
    r->since = m->since_seq;
    r->limit = m->limit;
    r->id = keep(&at, m->id);
    r->topic = keep(&at, m->topic);
    r->epoch = keep(&at, epoch);
    return r;
}

static leat_excerpt_ask ask_of(const history_request *r, const leat_limits *limits)
{
    int64_t most = (int64_t)limits->max_history_events;
    int64_t from = r->reverse ? LEAT_SEQ_MAX : -1;
    return (leat_excerpt_ask){
        .topic = r->topic,
        .reverse = r->reverse,
        .since = r->has_since ? r->since : from,
        .events = r->limit < 0 || r->limit > most ? most : r->limit,
        .bytes = (int64_t)limits->max_history_bytes,
        .event_bytes = (int64_t)limits->max_event_bytes,
    };
}

static void refuse(leat_client *c, leat_slice id, const leat_failure *why)
{
    leat_metrics_add(c->base.core->metrics, LEAT_M_HISTORIES_REFUSED, 1);
    client_send_error(&c->base, id, none, why);
}

void client_history_begin(leat_client *c, const leat_message *m, uint64_t deadline_ms)
{
    leat_core *core = c->base.core;
    leat_failure why;
    if (!leat_sub_may_look_back(leat_sub_find(&c->base, m->topic), &why) ||
        !leat_admission_request(core, deadline_ms, &why)) {
        refuse(c, m->id, &why);
        return;
    }
    history_request *r = make(c, m);
    leat_excerpt_ask ask = ask_of(r, core->limits);
    leat_list_push(client_foreign_histories(c->foreign), &r->link);
    c->base.n_inflight++;
    r->read = leat_excerpt_start(core->pool, &ask, leat_session_bill(c->base.session, LEAT_PG_CALL),
                                 deadline_ms, on_read, r);
}

void client_history_cancel_all(leat_list *requests)
{
    for (leat_list *l = leat_list_shift(requests); l != NULL; l = leat_list_shift(requests)) {
        history_request *r = LEAT_CONTAINER_OF(l, history_request, link);
        leat_excerpt_cancel(r->read);
        free(r);
    }
}

/* --- the answer --- */

static leat_failure failure_of(leat_core *core, int err)
{
    leat_failure why = {.code = LEAT_CODE_DEADLINE_EXCEEDED};
    if (err != LEAT_EDEADLINE)
        why = (leat_failure){.code = LEAT_CODE_UNAVAILABLE,
                             .retry_after_ms = leat_admission_retry_ms(core)};
    return why;
}

static void answer_failed(const history_request *r, const leat_excerpt *e, int err)
{
    leat_core *core = r->client->base.core;
    const char *sqlstate = leat_excerpt_sqlstate(e);
    const char *text = leat_excerpt_reason(e);
    char topic[160], reason[300];
    leat_failure why = failure_of(core, err);
    leat_history_count_failure(core->metrics, err, sqlstate);
    leat_hub_link_read_refused(core->link, sqlstate);
    leat_metrics_add(core->metrics, LEAT_M_HISTORIES_FAILED, 1);
    LEAT_LOG_WARN("client", "history failed topic=%s err=%s",
                  leat_log_quote(topic, sizeof(topic), r->topic.at, r->topic.len),
                  leat_log_quote(reason, sizeof(reason), text, strlen(text)));
    client_send_error(&r->client->base, r->id, none, &why);
}

/* Returns true if the client's position is of another numbering, ahead of the topic, or older than
 * what is stored. A position without an epoch claims nothing. */
static bool is_lost(const history_request *r, const leat_excerpt *e,
                    const leat_named_position *head)
{
    if (!r->has_since || r->epoch.len == 0)
        return false;
    if (!leat_slice_equal(r->epoch, head->epoch) || r->since > head->seq)
        return true;
    return !r->reverse && !leat_excerpt_leads_on(e);
}

/* What may be shown: events up to the seq `end`. Returns the bytes of their data. */
static size_t take_events(const leat_excerpt *e, size_t n, int64_t end, leat_stored_event *events,
                          size_t *taken)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        leat_excerpt_event event = leat_excerpt_event_at(e, i);
        if (event.seq > end)
            continue;
        events[(*taken)++] = (leat_stored_event){event.seq, event.data};
        bytes += event.data.len;
    }
    return bytes;
}

static void reply(const history_request *r, const leat_stored *stored, size_t bytes)
{
    leat_client *c = r->client;
    const leat_limits *limits = c->base.core->limits;
    bool full = stored->n >= limits->max_history_events || bytes >= limits->max_history_bytes;
    bool wants_more = r->limit < 0 || (uint64_t)r->limit > stored->n;
    leat_metric outcome = full && wants_more ? LEAT_M_HISTORIES_CUT : LEAT_M_HISTORIES_OK;
    leat_metrics_add(c->base.core->metrics, stored->lost ? LEAT_M_HISTORIES_LOST : outcome, 1);
    client_send_history(&c->base, r->id, stored, bytes);
}

/* The subscription may have ended since the client asked, or the right to it be in doubt. */
static void answer(const history_request *r, const leat_excerpt *e, size_t n)
{
    leat_client *c = r->client;
    leat_named_position head = leat_excerpt_head(e);
    leat_failure why;
    int64_t end = 0;
    if (!leat_sub_history_end(leat_sub_find(&c->base, r->topic), &head, &end, &why)) {
        refuse(c, r->id, &why);
        return;
    }
    leat_stored stored = {.lost = is_lost(r, e, &head), .epoch = head.epoch, .seq = end};
    leat_stored_event *events = leat_calloc(n + 1, sizeof(*events));
    stored.events = events;
    size_t bytes = stored.lost ? 0 : take_events(e, n, end, events, &stored.n);
    why = (leat_failure){.code = LEAT_CODE_UNAVAILABLE,
                         .message =
                             leat_slice_of("too much is waiting to be sent on this connection")};
    if (c->base.ops->takes_snapshot(&c->base, bytes))
        reply(r, &stored, bytes);
    else
        refuse(c, r->id, &why);
    free(events);
}

static void on_read(leat_excerpt *e, int err, size_t n, void *arg)
{
    history_request *r = arg;
    leat_client *c = r->client;
    leat_list_unlink(&r->link);
    if (err < 0)
        answer_failed(r, e, err);
    else
        answer(r, e, n);
    free(r);
    client_answered(c);
}
