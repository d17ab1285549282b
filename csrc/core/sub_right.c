/* sub_right.c - AUTHORIZING: the right to the topic, and what puts it in doubt.
 *
 * sub_authorize -> run_handler -> on_authorized -> armed, read or replayed, as it was before. While
 * the handler runs the cursor stands still.
 *
 * A handler decides by what it reads, and all that it reads is read after it began: it has seen
 * every revocation up to the mark of that moment (`seen`). A later one stops the cursor when it
 * comes to it (sub_passes); a snapshot, or a position that the client brought, which would put the
 * cursor behind one, is not given before the handler has run again (sub_in_doubt). So P9 does not
 * depend on what `refresh` looks at, or whether there is one. A numbering may end with a revocation
 * that the next one tells nothing of: whoever is carried over runs its handler in any case, and
 * whoever comes new finds that there may have been one (leat.first_revoked).
 */
#include "core/sub_private.h"

#include <time.h>

#include "wire/json.h"

/* Half of the time for which positions tell of topics that were deleted (leat.first_revoked). */
enum { OLD_MS = 30 * 60 * 1000 };

static void run_handler(leat_sub *s);
static void on_authorized(leat_call *call, const leat_verdict *v);
static void on_retry(leat_deadline *d);

static leat_core *core_of(const leat_sub *s)
{
    return s->client->core;
}

void sub_authorize(leat_sub *s)
{
    sub_work *w = sub_work_of(s);
    if (s->state != LEAT_SUB_AUTHORIZING)
        sub_set_state(s, LEAT_SUB_AUTHORIZING);
    if (w->asking)
        run_handler(s);
    else
        sub_take_turn(s, run_handler);
}

static void run_handler(leat_sub *s)
{
    leat_core *core = core_of(s);
    sub_work *w = s->work;
    uint64_t own = w->asking ? w->deadline_ms : LEAT_DEADLINE_NEVER;
    uint64_t deadline =
        leat_control_deadline(own, leat_loop_now(core->loop), core->limits->control_timeout_ms);
    LEAT_ASSERT(w->call.task_ == NULL);
    w->seen = leat_topic_mark_now(core, sub_name(s));
    w->renumbered = false;
    w->call.cb = on_authorized;
    if (s->topic != NULL)
        leat_metrics_add(core->metrics, LEAT_M_REAUTHORIZATIONS, 1);
    core->script->ops->authorize(core->script, &w->call, s->client->session, sub_name(s),
                                 leat_slice_of(s->params), deadline);
}

static bool is_past(int64_t expires_at)
{
    return expires_at > 0 && expires_at <= (int64_t)time(NULL);
}

/* A right that is gone is "revoked" to who had it. */
static void refuse(leat_sub *s, const leat_verdict *v)
{
    bool had_it = s->topic != NULL && !s->work->asking;
    leat_code code = had_it && v->code != LEAT_CODE_INTERNAL ? LEAT_CODE_REVOKED : v->code;
    sub_end(s, code, v->message, v->retry_after_ms);
}

static bool undecided(const leat_verdict *v)
{
    return (v->read_failed && leat_code_is_passing(v->code)) ||
           v->code == LEAT_CODE_DEADLINE_EXCEEDED;
}

static void on_authorized(leat_call *call, const leat_verdict *v)
{
    leat_sub *s = call->data;
    sub_work *w = s->work;
    leat_core *core = core_of(s);
    if (v->code == LEAT_CODE_OK && is_past(v->grant->expires_at)) {
        core->script->ops->grant_free(v->grant);
        refuse(s, &(leat_verdict){
                      .code = LEAT_CODE_FORBIDDEN,
                      .message = leat_slice_of("the right to this topic has expired"),
                  });
        return;
    }
    if (v->code != LEAT_CODE_OK && undecided(v) && !w->asking) {
        sub_end_turn(s);
        sub_retry_later(s, on_retry); /* nothing is given until the database has answered */
        return;
    }
    if (v->code != LEAT_CODE_OK) {
        refuse(s, v);
        return;
    }
    if (s->grant != NULL)
        core->script->ops->grant_free(s->grant);
    s->grant = v->grant;
    w->attempts = 0;
    if (s->grant->expires_at > 0)
        client_arm_tick(s->client);
    if (w->asking) {
        sub_arm(s);
    } else if (w->resync) {
        w->resync = false;
        sub_begin_resync(s);
    } else {
        sub_end_turn(s);
        sub_begin_replay(s); /* a revocation at the cursor has been seen, and is passed */
    }
}

static void on_retry(leat_deadline *d)
{
    sub_authorize(LEAT_LIST_ENTRY(d, sub_work, wait)->sub);
}

/* Whatever is under way was begun for the identity of before, and starts over. */
void leat_sub_reauthorize(leat_sub *s)
{
    sub_work *w = sub_work_of(s);
    core_of(s)->script->ops->cancel(&w->call);
    sub_stop_reading(s);
    if (s->state == LEAT_SUB_READING)
        w->resync = !w->asking;
    sub_authorize(s);
}

/* Whether a revocation is about this subscriber: its subject is null (everyone) or the user's id.
 */
static bool concerns(const leat_sub *s, leat_slice subject_json)
{
#ifdef LEAT_BROKEN_IGNORE_REVOKE
    if (subject_json.at != NULL || s != NULL)
        return false; /* for the torture test to find: everyone passes */
#endif
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(&r, subject_json, &scratch, 1);
    bool match = true; /* unreadable: rather ask once too often */
    if (leat_json_next(&r, &token) == 0 && token == LEAT_JSON_STRING)
        match = leat_slice_equal(r.text, s->client->session->user_id);
    leat_buf_close(&scratch);
    return match;
}

/* Up to where revocations have been decided: the handler had seen them, or the cursor has come
 * past. */
static int64_t decided(const leat_sub *s)
{
    const sub_work *w = s->work;
    bool known = w != NULL && w->seen.numbering == s->topic->numbering;
    int64_t seen = known ? w->seen.seq : LEAT_NEVER_REVOKED;
    int64_t passed = s->next_seq - 1;
    return seen > passed ? seen : passed;
}

bool sub_passes(const leat_sub *s, const leat_event *e)
{
    return leat_event_kind_of(e) != LEAT_EVENT_REVOKE || leat_event_seq(e) <= decided(s) ||
           !concerns(s, leat_event_data(e));
}

bool sub_in_doubt(const leat_sub *s, int64_t seq, int64_t revoked)
{
#ifdef LEAT_BROKEN_IGNORE_REVOKE
    return false;
#endif
    const sub_work *w = s->work;
    int64_t from = decided(s);
    uint64_t age_ms = leat_loop_now(core_of(s)->loop) - w->seen.at_ms;
    if (w->renumbered || (from == LEAT_NEVER_REVOKED && age_ms > OLD_MS))
        return true;
    if (revoked <= from)
        return false;
    /* There was one. Where the ring still has them all, they can be asked whom they concern. */
    int64_t last = revoked < seq ? revoked : seq;
    for (int64_t n = from + 1; n <= last; n++) {
        const leat_event *e = leat_topic_event(s->topic, n);
        if (e == NULL || !sub_passes(s, e))
            return true;
    }
    return false;
}
