/* core_fixture_edges.c - the fakes: sockets, the hub's link, reads, the outbox, the scripts.
 */
#include "core_fixture.h"

#include <stdlib.h>

#include "base/mem.h"

static core_fixture *here; /* of the test that runs: fakes have no other way to it */

/* ---- Sockets. ---- */

void leat_conn_set_handler(leat_conn *c, const leat_conn_handler *handler, void *owner)
{
    c->handler = handler;
    c->owner = owner;
}

void leat_conn_set_read_size(leat_conn *c, size_t bytes)
{
    c->read_size = bytes;
}

void leat_conn_set_unsent_limit(leat_conn *c, unsigned bytes)
{
    c->unsent_limit = bytes;
}

void leat_conn_read_stop(leat_conn *c)
{
    c->reading = false;
}

void leat_conn_read_start(leat_conn *c)
{
    c->reading = true;
}

void leat_conn_send_copy(leat_conn *c, leat_slice bytes)
{
    leat_buf_slice(&c->sent, bytes);
}

void leat_conn_send_owned(leat_conn *c, leat_buf *bytes)
{
    leat_buf_slice(&c->sent, leat_buf_view(bytes));
    leat_buf_close(bytes);
}

void leat_conn_send_tail(leat_conn *c, leat_buf *bytes, size_t from)
{
    leat_buf_append(&c->sent, bytes->at + from, bytes->len - from);
    leat_buf_close(bytes);
}

void leat_conn_send_event(leat_conn *c, leat_event *e, leat_slice part)
{
    (void)e;
    c->n_shared++;
    leat_buf_slice(&c->sent, part);
}

size_t leat_conn_queued(const leat_conn *c)
{
    return c->queued;
}

bool leat_conn_blocked(const leat_conn *c)
{
    return c->blocked;
}

uint64_t leat_conn_progress_ms(const leat_conn *c)
{
    return c->progress_ms;
}

leat_address_slot *leat_conn_address(const leat_conn *c)
{
    (void)c;
    return NULL;
}

uint64_t leat_address_limit_use(leat_address_slot *slot, leat_address_use use, uint64_t now_ms)
{
    (void)slot, (void)use, (void)now_ms;
    return 0;
}

bool leat_address_limit_is_crowd(leat_address_slot *slot, leat_address_use use, uint64_t now_ms)
{
    (void)slot, (void)use, (void)now_ms;
    return false;
}

const char *leat_conn_remote(const leat_conn *c)
{
    (void)c;
    return "127.0.0.1:1";
}

bool leat_conn_closing(const leat_conn *c)
{
    (void)c;
    return false;
}

void leat_conn_charge_flood(leat_conn *c)
{
    (void)c;
}

void leat_conn_close(leat_conn *c)
{
    c->finished = true;
}

void leat_conn_finish(leat_conn *c, uint64_t limit_ms)
{
    (void)limit_ms;
    c->finished = true;
}

/* ---- The hub. ---- */

void leat_hub_link_arm(leat_hub_link *l, leat_topic_life topic)
{
    (void)l, (void)topic;
}

void leat_hub_link_disarm(leat_hub_link *l, leat_topic_life topic)
{
    (void)l, (void)topic;
}

void leat_hub_link_position(leat_hub_link *l, leat_topic_life topic, const leat_named_position *at)
{
    (void)l, (void)topic, (void)at;
}

void leat_hub_link_read_refused(leat_hub_link *l, const char *sqlstate)
{
    (void)l, (void)sqlstate;
}

leat_event *leat_hub_news_take_event(leat_hub_news *news)
{
    return news->event.event;
}

int leat_hub_link_open(leat_hub_link **out, leat_mailbox *hub, size_t max_bytes, leat_loop *loop,
                       leat_metrics *metrics, leat_hub_link_cb cb, void *arg)
{
    (void)hub, (void)max_bytes, (void)loop, (void)metrics, (void)cb, (void)arg;
    *out = NULL;
    return 0;
}

void leat_hub_link_close(leat_hub_link *l, void (*done)(void *arg), void *arg)
{
    (void)l;
    done(arg);
}

/* ---- Postgres. ---- */

uint64_t leat_pg_pool_wait_ms(const leat_pg_pool *p, bool of_crowd)
{
    (void)of_crowd;
    (void)p;
    return here->wait_ms;
}

bool leat_pg_pool_healthy(const leat_pg_pool *p)
{
    (void)p;
    return true;
}

leat_read *leat_read_start(const leat_ring *ring, leat_grant *grant, leat_read_need need,
                           uint64_t deadline_ms, leat_read_cb cb, void *arg)
{
    (void)ring;
    leat_read *r = leat_calloc(1, sizeof(*r));
    *r = (leat_read){
        .grant = grant,
        .need = need,
        .deadline_ms = deadline_ms,
        .cb = cb,
        .arg = arg,
    };
    leat_list_push(&here->reads, &r->link);
    return r;
}

void leat_read_cancel(leat_read *r)
{
    leat_list_unlink(&r->link);
    free(r);
}

leat_positions *leat_positions_new(leat_pg_pool *pool, leat_loop *loop)
{
    (void)pool, (void)loop;
    return NULL;
}

void leat_positions_free(leat_positions *p)
{
    (void)p;
}

void leat_position_ask_init(leat_position_ask *a)
{
    *a = (leat_position_ask){.cb_ = NULL};
    leat_list_init(&a->link_);
}

void leat_positions_ask_after(leat_positions *p, leat_position_ask *a, leat_slice topic,
                              int64_t after, uint64_t deadline_ms, leat_position_cb cb)
{
    (void)p, (void)topic, (void)deadline_ms;
    a->after_ = after;
    a->cb_ = cb;
    leat_list_push(&here->asks, &a->link_);
}

void leat_positions_cancel(leat_position_ask *a)
{
    a->cb_ = NULL;
    leat_list_unlink(&a->link_);
}

leat_history *leat_history_new(leat_pg_pool *pool)
{
    (void)pool;
    leat_history *h = leat_calloc(1, sizeof(*h));
    leat_list_init(&h->link);
    return h;
}

void leat_history_ask(leat_history *h, leat_slice topic, int64_t after)
{
    (void)topic;
    h->after = after;
}

void leat_history_start(leat_history *h, const leat_history_bounds *bounds, uint64_t deadline_ms,
                        leat_history_cb cb, void *arg)
{
    (void)bounds, (void)deadline_ms;
    h->cb = cb;
    h->arg = arg;
    leat_list_push(&here->histories, &h->link);
}

void leat_history_cancel(leat_history *h)
{
    leat_list_unlink(&h->link);
    free(h);
}

const char *leat_history_reason(const leat_history *h)
{
    (void)h;
    return "";
}

const char *leat_history_sqlstate(const leat_history *h)
{
    (void)h;
    return "";
}

void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate)
{
    (void)m, (void)err, (void)sqlstate;
}

leat_history_row leat_history_row_at(const leat_history *h, int i)
{
    return h->rows[i];
}

leat_read *core_fixture_read(core_fixture *f)
{
    assert_false(leat_list_empty(&f->reads));
    assert_ptr_equal(f->reads.next, f->reads.prev);
    return LEAT_CONTAINER_OF(f->reads.next, leat_read, link);
}

static void answer_read(core_fixture *f, const leat_read_outcome *outcome)
{
    leat_read *r = core_fixture_read(f);
    leat_list_unlink(&r->link);
    r->cb(r, outcome, r->arg);
    leat_epoch_unref(outcome->snapshot.position.epoch);
    free(r);
}

static leat_position position(core_fixture *f, const char *epoch, int64_t seq, int64_t revoked)
{
    return (leat_position){leat_epoch_of(&f->core.epochs, leat_slice_of(epoch)), seq, revoked};
}

void core_fixture_snapshot(core_fixture *f, const char *epoch, int64_t seq, int64_t revoked)
{
    answer_read(f, &(leat_read_outcome){
                       .snapshot.position = position(f, epoch, seq, revoked),
                       .snapshot.json = leat_slice_of("{}"),
                   });
}

void core_fixture_stale(core_fixture *f, int64_t seq)
{
    answer_read(f, &(leat_read_outcome){
                       .snapshot.position = position(f, "e", seq, LEAT_NEVER_REVOKED),
                       .snapshot.stale = true,
                       .snapshot.json = leat_slice_of("{}"),
                   });
}

void core_fixture_unread(core_fixture *f, leat_code code, bool read_failed)
{
    answer_read(f, &(leat_read_outcome){.failure = {.code = code, .read_failed = read_failed}});
}

void core_fixture_told(core_fixture *f, const leat_position_answer *answer)
{
    leat_list *link = leat_list_shift(&f->asks);
    assert_non_null(link);
    leat_position_ask *a = LEAT_CONTAINER_OF(link, leat_position_ask, link_);
    leat_position_cb cb = a->cb_;
    a->cb_ = NULL;
    cb(a, answer);
}

void core_fixture_outbox(core_fixture *f, const leat_history_row *row)
{
    leat_list *link = leat_list_shift(&f->histories);
    assert_non_null(link);
    leat_history *h = LEAT_CONTAINER_OF(link, leat_history, link);
    h->rows = row;
    h->cb(h, 0, row == NULL ? 0 : 1, h->arg);
    free(h);
}

/* ---- The scripts. ---- */

static void start(leat_call *call)
{
    call->task_ = here;
    here->call = call;
    here->n_calls++;
    here->n_running++;
}

static void authorize(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                      leat_slice params, uint64_t deadline_ms)
{
    (void)s, (void)session, (void)topic, (void)params, (void)deadline_ms;
    start(call);
}

static void publish(leat_script *s, leat_call *call, leat_session *session, leat_slice topic,
                    leat_slice data, uint64_t deadline_ms)
{
    (void)s, (void)session, (void)topic, (void)data, (void)deadline_ms;
    start(call);
}

static void connect_handler(leat_script *s, leat_call *call, const leat_http_request *request,
                            const char *remote, const leat_session *old, leat_slice token,
                            uint64_t deadline_ms)
{
    (void)s, (void)request, (void)remote, (void)old, (void)token, (void)deadline_ms;
    start(call);
}

static void cancel(leat_call *call)
{
    here->n_running -= call->task_ != NULL;
    call->task_ = NULL;
}

static leat_labelled *pattern_counts(leat_script *s, leat_slice topic)
{
    (void)s, (void)topic;
    return NULL;
}

static bool has_event_hook(leat_script *s, leat_slice topic)
{
    (void)s, (void)topic;
    return here->hooked;
}

static leat_session *session_ref(leat_session *session)
{
    here->n_sessions++;
    return session;
}

static void session_unref(leat_session *session)
{
    (void)session;
    here->n_sessions--;
}

static void grant_free(leat_grant *grant)
{
    here->n_grants--;
    free(grant);
}

static bool grant_current(leat_script *s, const leat_grant *grant)
{
    (void)s, (void)grant;
    return !here->old_scripts;
}

static const leat_script_ops ops = {
    .authorize = authorize,
    .publish = publish,
    .method = publish,
    .connect = connect_handler,
    .has_event_hook = has_event_hook,
    .pattern_counts = pattern_counts,
    .cancel = cancel,
    .session_ref = session_ref,
    .session_unref = session_unref,
    .grant_free = grant_free,
    .grant_current = grant_current,
};

static void answer_call(core_fixture *f, const leat_verdict *v)
{
    leat_call *call = f->call;
    assert_non_null(call->task_);
    call->task_ = NULL;
    f->n_running--;
    call->cb(call, v);
}

void core_fixture_name_user(core_fixture *f, char id)
{
    f->user_id = id;
    f->session.user_id_at_ = offsetof(core_fixture, user_id) - offsetof(core_fixture, session);
    f->session.user_id_len_ = 1;
}

void core_fixture_allow(core_fixture *f)
{
    size_t share_len = leat_slice_of(f->share).len;
    leat_grant *grant = leat_calloc(1, sizeof(*grant) + share_len);
    if (f->share != NULL)
        memcpy(grant + 1, f->share, share_len);
    grant->share_at_ = f->share == NULL ? 0 : sizeof(*grant);
    grant->share_len_ = (uint32_t)share_len;
    f->n_grants++;
    answer_call(f, &(leat_verdict){.grant = grant});
}

void core_fixture_refuse(core_fixture *f, leat_code code, bool read_failed)
{
    answer_call(f, &(leat_verdict){.failure = {.code = code, .read_failed = read_failed}});
}

void core_fixture_set_edges(core_fixture *f)
{
    here = f;
    if (f == NULL)
        return;
    f->script.ops = &ops;
    f->core.script = &f->script;
    leat_list_init(&f->reads);
    leat_list_init(&f->asks);
    leat_list_init(&f->histories);
}
