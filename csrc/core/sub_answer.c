/* sub_answer.c - the answer to a subscribe, and the end of a subscription.
 *
 * A subscribe is answered once: with `resumed`, a snapshot or an error. A script that asked for it
 * (leat.subscribe) is told last of all (sub_farewell). An end after the answer is a `closed`, or
 * nothing if the client asked for the end. Every end comes to sub_bury. */
#include "core/sub_private.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"

static const leat_slice none = {NULL, 0};

static leat_metric outcome_of(leat_code code)
{
    switch (code) {
    case LEAT_CODE_DEADLINE_EXCEEDED:
        return LEAT_M_HANDSHAKES_DEADLINE;
    case LEAT_CODE_UNAVAILABLE:
        return LEAT_M_HANDSHAKES_UNAVAILABLE;
    case LEAT_CODE_INTERNAL:
    case LEAT_CODE_TOO_LARGE:
        return LEAT_M_HANDSHAKES_INTERNAL;
    case LEAT_CODE_OK:
    case LEAT_CODE_BAD_REQUEST:
    case LEAT_CODE_UNAUTHENTICATED:
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_NOT_FOUND:
    case LEAT_CODE_ALREADY_SUBSCRIBED:
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
    case LEAT_CODE_REVOKED:
    case LEAT_CODE_COUNT:
        break;
    }
    return LEAT_M_HANDSHAKES_REFUSED;
}

/* A stage that the subscribe has not been in is not observed. QUEUE is observed, even as 0, after
 * the stages in which a subscribe can wait. */
static void count_stages(const sub_asked *a, leat_metrics *m)
{
    static const leat_histogram histograms[SUB_STAGES] = {
        [SUB_STAGE_AUTHORISE] = LEAT_H_STAGE_AUTHORISE,
        [SUB_STAGE_ARM] = LEAT_H_STAGE_ARM,
        [SUB_STAGE_READ] = LEAT_H_STAGE_READ,
    };
    const uint64_t *spent_ns = a->spent_ns;
    for (int i = SUB_STAGE_AUTHORISE; i < SUB_STAGES; i++)
        if (spent_ns[i] > 0)
            leat_metrics_observe(m, histograms[i], (double)spent_ns[i] / 1e9);
    if (spent_ns[SUB_STAGE_AUTHORISE] > 0 || spent_ns[SUB_STAGE_READ] > 0)
        leat_metrics_observe(m, LEAT_H_STAGE_QUEUE, (double)spent_ns[SUB_STAGE_QUEUE] / 1e9);
}

_Static_assert((int)LEAT_L_HANDSHAKES_GONE - (int)LEAT_L_HANDSHAKES_OK ==
                   (int)LEAT_M_HANDSHAKES_GONE - (int)LEAT_M_HANDSHAKES_OK,
               "the outcomes by pattern are those of all handshakes");

static void count_outcome(const leat_sub *s, leat_metric outcome)
{
    leat_core *core = sub_core(s);
    leat_labelled *counts = s->cursor.topic != NULL
                                ? s->cursor.topic->counts
                                : core->script->ops->pattern_counts(core->script, sub_name(s));
    int by_pattern = (int)LEAT_L_HANDSHAKES_OK + (int)outcome - (int)LEAT_M_HANDSHAKES_OK;
    leat_metrics_add(core->metrics, outcome, 1);
    leat_labelled_add(counts, (leat_labelled_metric)by_pattern, 1);
}

/* The state was left before, so its stage has ended. */
static void count(leat_sub *s, leat_metric outcome)
{
    leat_metrics *m = sub_core(s)->metrics;
    const sub_asked *a = s->work->asked;
    uint64_t now_ns = uv_hrtime();
    count_outcome(s, outcome);
    leat_metrics_observe(m, LEAT_H_HANDSHAKE, (double)(now_ns - a->started_ns) / 1e9);
    count_stages(a, m);
    if (outcome == LEAT_M_HANDSHAKES_OK || outcome == LEAT_M_HANDSHAKES_RESUMED)
        s->work->answered_ns = now_ns;
}

void sub_release_asked(leat_sub *s)
{
    leat_subscriber *r = s->subscriber;
    sub_asked *a = s->work->asked;
    free(a->id);
    leat_epoch_unref(a->since.epoch);
    leat_pool_give(sub_pool(s), a);
    s->work->asked = NULL;
    r->n_inflight--;
    leat_admission_over(r->core, r);
    r->ops->answered(r);
}

static leat_slice asked_id(const leat_sub *s)
{
    return leat_slice_of(s->work->asked->id);
}

/* Counts the outcome of the subscribe. A script that asked is told of it later (sub_farewell). */
static void conclude(leat_sub *s, leat_metric outcome, sub_news *news)
{
    const sub_asked *a = s->work->asked;
    news->last.done = a->done;
    news->last.done_arg = a->done_arg;
    count(s, outcome);
}

sub_event sub_answer_resumed(leat_sub *s, sub_news *news)
{
    leat_subscriber *r = s->subscriber;
    const leat_position *since = &s->work->asked->since;
    r->ops->resumed(r, asked_id(s), sub_name(s), since);
    s->cursor.next_seq = since->seq + 1;
    conclude(s, LEAT_M_HANDSHAKES_RESUMED, news);
    return SUB_ON_NOTHING;
}

sub_event sub_answer_snapshot(leat_sub *s, sub_news *news)
{
    sub_event met = sub_send_snapshot(s, asked_id(s), news->snapshot);
    conclude(s, met == SUB_ON_NOTHING ? LEAT_M_HANDSHAKES_OK : LEAT_M_HANDSHAKES_REFUSED, news);
    return met;
}

/* Copies the message: it is told when the verdict or the read that brought it is gone already. */
static void keep_failure(leat_sub *s, const leat_failure *failure, sub_news *news)
{
    sub_farewell *last = &news->last;
    leat_slice text = failure->message;
    char topic[160];
    if (text.len == 0)
        text = leat_slice_of(leat_code_sentence(failure->code));
    last->text = leat_memdup(text.at, text.len);
    last->failure = *failure;
    last->failure.message = leat_slice_of(last->text);
    if (s->subscriber->is_stream)
        last->stream = s->subscriber;
    leat_log_subject before = leat_log_about(leat_session_request_id(s->subscriber->session));
    LEAT_LOG_INFO("sub", "ended topic=%s code=%s",
                  leat_log_quote(topic, sizeof(topic), sub_name(s).at, sub_name(s).len),
                  leat_code_name(failure->code));
    leat_log_about_end(&before);
}

/* Sends the error to the client, unless a script asked: then the script is told instead. */
static void tell_error(leat_sub *s, leat_slice topic, const leat_failure *failure)
{
    leat_subscriber *r = s->subscriber;
    if (s->work->asked->done == NULL)
        r->ops->refused(r, asked_id(s), topic, failure);
}

static sub_event answer_with(leat_sub *s, const leat_failure *failure, sub_news *news)
{
    keep_failure(s, failure, news);
    conclude(s, outcome_of(failure->code), news);
    /* A stream has one topic: an error names that, as there is no id. */
    tell_error(s, s->subscriber->is_stream ? sub_name(s) : none, &news->last.failure);
    return SUB_ON_NOTHING;
}

sub_event sub_answer_failure(leat_sub *s, sub_news *news)
{
    return answer_with(s, &news->failure, news);
}

sub_event sub_answer_not_armed(leat_sub *s, sub_news *news)
{
    leat_failure failure = {.code = LEAT_CODE_DEADLINE_EXCEEDED};
    if (!sub_core(s)->confirmed)
        failure = (leat_failure){
            .code = LEAT_CODE_UNAVAILABLE,
            .retry_after_ms = leat_admission_retry_ms(sub_core(s)),
        };
    return answer_with(s, &failure, news);
}

sub_event sub_answer_no_room(leat_sub *s, sub_news *news)
{
    leat_failure failure = {
        .code = LEAT_CODE_UNAVAILABLE,
        .message = leat_slice_of("too much is waiting to be sent on this connection"),
        .retry_after_ms = leat_admission_retry_ms(sub_core(s)),
    };
    return answer_with(s, &failure, news);
}

sub_event sub_answer_closed(leat_sub *s, sub_news *news)
{
    leat_failure failure = {
        .code = LEAT_CODE_BAD_REQUEST,
        .message = leat_slice_of("unsubscribed before it was answered"),
    };
    count_outcome(s, LEAT_M_HANDSHAKES_GONE);
    if (!news->tell)
        return SUB_ON_NOTHING;
    tell_error(s, none, &failure);
    news->last.done = s->work->asked->done;
    news->last.done_arg = s->work->asked->done_arg;
    news->last.failure = failure;
    return SUB_ON_NOTHING;
}

sub_event sub_tell_failure(leat_sub *s, sub_news *news)
{
    leat_subscriber *r = s->subscriber;
    keep_failure(s, &news->failure, news);
    r->ops->closed(r, sub_name(s), &news->last.failure);
    return SUB_ON_NOTHING;
}

/* A subscriber that had the right has lost it. */
sub_event sub_tell_revoked(leat_sub *s, sub_news *news)
{
    if (news->failure.code != LEAT_CODE_INTERNAL)
        news->failure.code = LEAT_CODE_REVOKED;
    return sub_tell_failure(s, news);
}

sub_event sub_bury(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_subscriber *r = s->subscriber;
    leat_map_remove(&r->subs, &s->entry);
    leat_admission_ended(r);
    if (s->cursor.topic != NULL)
        leat_topic_detach(&s->cursor);
    if (s->grant != NULL)
        r->core->script->ops->grant_free(s->grant);
    size_t params_len = leat_slice_of(s->params).len;
    r->params_bytes -= params_len;
    leat_metrics_add(r->core->metrics, LEAT_M_RECEIVED_BYTES, -(int64_t)params_len);
    if (s->work != NULL)
        free(s->work->name);
    free(s->params);
    leat_pool_give(sub_pool(s), s->work);
    leat_pool_give(leat_loop_pool(r->core->loop), s);
    return SUB_ON_NOTHING;
}
