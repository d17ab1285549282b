/* sub_right.c - the right to the topic: the handler, and what puts the right in doubt.
 *
 * AUTHORIZING, REAUTHORIZING: sub_run_handler -> on_authorized. While the handler runs, the cursor
 * stands still.
 *
 * A handler decides by what it reads, and all its reads come after its start. So it has seen every
 * revocation up to the mark of that moment (`seen`). A later revocation stops the cursor when the
 * cursor comes to it (sub_passes). A snapshot, or a position that the client brought, may put the
 * cursor behind a later revocation: then the handler runs again first (sub_in_doubt). So P9 holds
 * whatever `refresh` looks at, and also without a `refresh`.
 *
 * A numbering may end with a revocation of which the next numbering tells nothing. So a
 * subscription that goes on in the next numbering runs its handler in any case. One that begins
 * there learns from the topic's position that there may have been a revocation
 * (leat_internal.first_revoked). A handler that began under another history does not count: a
 * restore may have undone what it read.
 */
#include "core/sub_private.h"

#include <time.h>

#include "wire/json.h"

/* A deletion of a topic is remembered for one hour (leat_internal.first_revoked). A handler that
 * started over 30 minutes ago is not assumed to have seen it. */
enum { OLD_MS = 30 * 60 * 1000 };

static void on_authorized(leat_call *call, const leat_verdict *v);

/* The deadline of a subscribe that waits for its answer; otherwise control_timeout_ms. */
static uint64_t handler_deadline(const leat_sub *s)
{
    const sub_asked *a = s->work->asked;
    return leat_control_deadline(a == NULL ? LEAT_DEADLINE_NEVER : a->deadline_ms, sub_in_ms(s, 0),
                                 sub_core(s)->limits->control_timeout_ms);
}

sub_event sub_run_handler(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_core *core = sub_core(s);
    sub_work *w = s->work;
    w->of.call = (leat_call){.cb = on_authorized, .data = s, .subscriber = s->subscriber};
    w->seen = leat_topic_mark_now(core, sub_name(s));
    s->renumbered = false;
    if (s->cursor.topic != NULL)
        leat_metrics_add(core->metrics, LEAT_M_REAUTHORIZATIONS, 1);
    core->script->ops->authorize(core->script, &w->of.call, s->subscriber->session, sub_name(s),
                                 leat_slice_of(s->params), handler_deadline(s));
    return SUB_ON_NOTHING;
}

void sub_stop_handler(leat_sub *s)
{
    sub_core(s)->script->ops->cancel(&s->work->of.call);
}

static bool is_past(int64_t expires_at)
{
    return expires_at > 0 && expires_at <= (int64_t)time(NULL);
}

static sub_event event_of(const leat_verdict *v)
{
    leat_code code = v->failure.code;
    if (code == LEAT_CODE_OK)
        return SUB_ON_AUTHORIZED;
    bool undecided = (v->failure.read_failed && leat_code_is_passing(code)) ||
                     code == LEAT_CODE_DEADLINE_EXCEEDED;
    return undecided ? SUB_ON_FAILED : SUB_ON_REFUSED;
}

static void on_authorized(leat_call *call, const leat_verdict *v)
{
    leat_sub *s = call->data;
    sub_news news = {.verdict = v, .failure = v->failure};
    sub_has_queued(s, v->queued_ns);
    sub_event event = event_of(v);
    if (event == SUB_ON_AUTHORIZED && is_past(v->grant->expires_at)) {
        sub_core(s)->script->ops->grant_free(v->grant);
        news.failure = (leat_failure){
            .code = LEAT_CODE_FORBIDDEN,
            .message = leat_slice_of("the right to this topic has expired"),
        };
        event = SUB_ON_REFUSED;
    }
    sub_happens(s, event, &news);
}

sub_event sub_take_grant(leat_sub *s, sub_news *news)
{
    if (s->grant != NULL)
        sub_core(s)->script->ops->grant_free(s->grant);
    s->grant = news->verdict->grant;
    s->work->attempts = 0;
    const leat_subscriber_ops *ops = s->subscriber->ops;
    if (s->grant->expires_at > 0)
        ops->grant_expires(s->subscriber, s->grant->expires_at);
    if (ops->granted != NULL)
        ops->granted(s->subscriber, sub_name(s), s->grant->expires_at);
    return SUB_ON_NOTHING;
}

/* Returns true if a revocation is about this subscriber: its subject is null (everyone) or the
 * user's id. */
static bool concerns(const leat_sub *s, leat_slice subject_json)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(&r, subject_json, &scratch, 1);
    bool match = true; /* if it cannot be read, the handler runs once too often */
    if (leat_json_next(&r, &token) == 0 && token == LEAT_JSON_STRING)
        match = leat_slice_equal(r.text, leat_session_user_id(s->subscriber->session));
    leat_buf_close(&scratch);
    return match;
}

/* Returns the seq up to which all revocations are decided: the handler has seen them, or the cursor
 * has passed them. */
static int64_t decided(const leat_sub *s)
{
    const sub_work *w = s->work;
    bool known = w != NULL && w->seen.numbering == s->cursor.topic->ring.numbering;
    int64_t seen = known ? w->seen.seq : LEAT_NEVER_REVOKED;
    int64_t passed = s->cursor.next_seq - 1;
    return seen > passed ? seen : passed;
}

bool sub_passes(const leat_sub *s, const leat_event *e)
{
    return leat_event_kind_of(e) != LEAT_EVENT_REVOKE || leat_event_seq(e) <= decided(s) ||
           !concerns(s, leat_event_data(e));
}

bool sub_in_doubt(const leat_sub *s, const leat_position *at)
{
    const sub_work *w = s->work;
    int64_t from = decided(s);
    uint64_t age_ms = sub_in_ms(s, 0) - w->seen.at_ms;
    bool of_past = s->renumbered || w->seen.history != sub_core(s)->histories;
    if (of_past || (from == LEAT_NEVER_REVOKED && age_ms > OLD_MS))
        return true;
    if (at->revoked <= from)
        return false;
    /* There is a later one. If the ring still holds all of them, it tells whom they concern. */
    int64_t last = at->revoked < at->seq ? at->revoked : at->seq;
    for (int64_t n = from + 1; n <= last; n++) {
        const leat_event *e = leat_ring_event(&s->cursor.topic->ring, n);
        if (e == NULL || !sub_passes(s, e))
            return true;
    }
    return false;
}
