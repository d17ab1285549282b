/* hub_attend.c - asks the database whether its history is still the one that clients have seen.
 *
 * Neither a client nor a server can see by itself that the database was restored, failed over or
 * copied. So after each connect of the broker, before any topic is armed and any event is fetched,
 * leat_internal.attend compares the entries that the server knows (its anchors) with those in the
 * database. It returns the history and the timeline of all positions from now on. If one of them
 * has changed, every topic begins anew. It also returns the key of the announcements.
 *
 * call -> on_schema -> on_answer -> adopt, or call_after with back-off. The hub is HUB_UNCONFIRMED
 * from hub_attend_start, or hub_attend_unconfirmed, until adopt. hub_attend_check calls while the
 * hub is ready, and the work goes on in the meantime. While the schema needs a newer server,
 * nothing is confirmed: what attend does there, and what events mean, is not known.
 */
#include "hub/hub_attend.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "hub/hub_phase.h"
#include "hub/hub_schema.h"
#include "hub/hub_topic.h"
#include "hub/hub_want.h"

enum { GAP_MS = 1000, FIRST_BACKOFF_MS = 50, MAX_BACKOFF_MS = 2000 };

/* Row security may hide rows from the server's role, as if they were not there.
 * leat_internal.attend runs with its owner's rights and does not notice that. So the query also
 * asks whether rows are hidden. */
static const char sql[] =
    "select a.timeline, a.history, pg_catalog.encode(a.key, 'hex'), a.fingerprint, a.verdict,"
    "       a.anchor_topic, a.anchor_epoch, a.anchor_seq, a.anchor_at, " LEAT_HISTORY_HIDDEN_SQL
    "  from leat_internal.attend($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.jsonb) a";

enum column {
    COL_TIMELINE,
    COL_HISTORY,
    COL_KEY,
    COL_FINGERPRINT,
    COL_VERDICT,
    COL_TOPIC,
    COL_EPOCH,
    COL_SEQ,
    COL_AT,
    COL_HIDDEN,
};

static void on_time(leat_deadline *d);
static void on_schema(leat_pg_job *job, leat_pg_result *res, int err);
static void on_answer(leat_pg_job *job, leat_pg_result *res, int err);

void hub_attend_init(leat_hub *h)
{
    hub_attend *a = &h->attend;
    leat_deadline_init(&a->deadline);
    leat_pg_job_init(&a->job);
    leat_backoff_init(&a->backoff, FIRST_BACKOFF_MS, MAX_BACKOFF_MS);
}

void hub_attend_stop(leat_hub *h)
{
    hub_attend *a = &h->attend;
    leat_deadline_cancel(&a->deadline);
    leat_pg_job_cancel(&a->job);
    a->state = HUB_ATTEND_RESTS;
    hub_health_set_trouble(&h->health, LEAT_HUB_HISTORY, NULL);
}

static void call_after(leat_hub *h, uint64_t ms)
{
    h->attend.state = HUB_ATTEND_PLANNED;
    leat_loop_after(h->loop, &h->attend.deadline, ms, on_time);
}

static leat_pg_param param_of(const char *text)
{
    return text == NULL || text[0] == '\0' ? (leat_pg_param){NULL, 0} : leat_slice_of(text);
}

static void call(leat_hub *h)
{
    hub_attend *a = &h->attend;
    a->state = HUB_ATTEND_CALLED;
    a->called_ms = leat_loop_now(h->loop);
    leat_pg_job_start(&a->job, h->pool, hub_schema_sql, NULL, 0,
                      a->called_ms + h->limits->control_timeout_ms, on_schema);
}

static void attend(leat_hub *h)
{
    hub_attend *a = &h->attend;
    leat_buf anchors = LEAT_BUF_INIT;
    hub_anchor_write(&h->anchors, &anchors);
    leat_pg_param params[] = {param_of(h->fingerprint), param_of(h->history),
                              leat_buf_view(&anchors)};
    uint64_t deadline_ms = a->called_ms + h->limits->control_timeout_ms;
    leat_pg_job_start(&a->job, h->pool, sql, params, 3, deadline_ms, on_answer);
    leat_buf_close(&anchors);
}

static void on_time(leat_deadline *d)
{
    call(LEAT_CONTAINER_OF(d, leat_hub, attend.deadline));
}

void hub_attend_start(leat_hub *h)
{
    LEAT_ASSERT(h->phase == HUB_UNCONNECTED && h->attend.state == HUB_ATTEND_RESTS);
    hub_phase_set(h, HUB_UNCONFIRMED);
    call(h);
}

/* Calls as soon as the last call is GAP_MS ago. */
static void call_soon(leat_hub *h)
{
    uint64_t now = leat_loop_now(h->loop);
    uint64_t at = h->attend.called_ms + GAP_MS;
    switch (h->attend.state) {
    case HUB_ATTEND_RESTS:
        call_after(h, at > now ? at - now : 0);
        break;
    case HUB_ATTEND_CALLED:
        h->attend.state = HUB_ATTEND_CALLED_EARLY;
        break;
    case HUB_ATTEND_PLANNED:
    case HUB_ATTEND_CALLED_EARLY:
        break;
    }
}

void hub_attend_unconfirmed(leat_hub *h)
{
    if (h->phase == HUB_UNCONNECTED)
        return; /* hub_attend_start will call */
    hub_phase_set(h, HUB_UNCONFIRMED);
    call_soon(h);
}

void hub_attend_check(leat_hub *h)
{
    if (h->phase == HUB_READY)
        call_soon(h);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Gives the key of the announcements to the broker; returns as its trust does. */
static int take_key(leat_hub *h, leat_slice hex)
{
    char key[LEAT_ANNOUNCEMENT_KEY_LEN];
    if (hex.len != 2 * sizeof(key))
        return LEAT_EBADMSG;
    for (size_t i = 0; i < sizeof(key); i++) {
        int high = digit(hex.at[2 * i]), low = digit(hex.at[2 * i + 1]);
        if (high < 0 || low < 0)
            return LEAT_EBADMSG;
        key[i] = (char)(high << 4 | low);
    }
    return h->broker->trust(h->broker, (leat_slice){key, sizeof(key)});
}

static void take_newest(leat_hub *h, const leat_pg_result *res)
{
    if (leat_pg_result_is_null(res, 0, COL_TOPIC))
        return;
    leat_announcement newest = {
        .kind = LEAT_ANNOUNCE_EVENT,
        .topic = leat_pg_result_value(res, 0, COL_TOPIC),
        .epoch = leat_pg_result_value(res, 0, COL_EPOCH),
        .seq = strtoll(leat_pg_result_value(res, 0, COL_SEQ).at, NULL, 10),
        .at = strtoll(leat_pg_result_value(res, 0, COL_AT).at, NULL, 10),
    };
    hub_anchor_announced(&h->anchors, &newest);
}

/* Takes the history and the timeline. Returns true if one of them has changed: then all positions
 * that clients and workers have are outdated. */
static bool take_history(leat_hub *h, const leat_pg_result *res)
{
    leat_slice timeline = leat_pg_result_value(res, 0, COL_TIMELINE);
    leat_slice history = leat_pg_result_value(res, 0, COL_HISTORY);
    if (leat_slice_is(timeline, h->timeline) && leat_slice_is(history, h->history))
        return false;
    bool first = h->history[0] == '\0';
    memcpy(h->timeline, timeline.at, timeline.len);
    memcpy(h->history, history.at, history.len);
    leat_slice verdict = leat_pg_result_value(res, 0, COL_VERDICT);
    LEAT_LOG_INFO("hub", "history verdict=%.*s history=%s timeline=%s", (int)verdict.len,
                  verdict.at, h->history, h->timeline);
    hub_anchor_clear(&h->anchors);
    return !first;
}

/* Takes the fingerprint of the database's state. Returns true if it is another one than before. */
static bool take_fingerprint(leat_hub *h, const leat_pg_result *res)
{
    leat_slice fingerprint = leat_pg_result_value(res, 0, COL_FINGERPRINT);
    if (h->fingerprint != NULL && leat_slice_is(fingerprint, h->fingerprint))
        return false;
    free(h->fingerprint);
    h->fingerprint = leat_memdup(fingerprint.at, fingerprint.len);
    return true;
}

static void become_ready(leat_hub *h)
{
    hub_phase_set(h, HUB_READY);
    hub_topic_confirm_all(h);
    hub_want_probe(h);
}

/* Announcements may have been missed in three cases, and then all topics are compared with the
 * outbox. The hub was not ready. Or they came under another key. Or the database has another
 * fingerprint: until a server has confirmed that state, the database announces nothing. */
static void adopt(leat_hub *h, const leat_pg_result *res, bool other_key)
{
    bool was_ready = h->phase == HUB_READY;
    bool other_state = take_fingerprint(h, res);
    if (take_history(h, res))
        hub_topic_reset_all(h);
    take_newest(h, res);
    leat_backoff_reset(&h->attend.backoff);
    hub_health_set_trouble(&h->health, LEAT_HUB_HISTORY, NULL);
    if (!was_ready)
        become_ready(h);
    if (!was_ready || other_key || other_state)
        hub_want_all(h);
}

static int check_answer(const leat_hub *h, const leat_pg_result *res)
{
    if (leat_pg_result_rows(res) != 1 ||
        leat_pg_result_value(res, 0, COL_TIMELINE).len != sizeof(h->timeline) - 1 ||
        leat_pg_result_value(res, 0, COL_HISTORY).len != sizeof(h->history) - 1)
        return LEAT_EBADMSG;
    return leat_slice_is(leat_pg_result_value(res, 0, COL_HIDDEN), "t") ? LEAT_EHIDDEN : 0;
}

/* Calls again later. The hub's phase says what it does in the meantime. */
static void call_failed(leat_hub *h, const char *why)
{
    hub_attend *a = &h->attend;
    leat_log_series_warn(&a->failures, leat_loop_now(h->loop), "hub", "history not confirmed", why);
    hub_health_set_trouble(&h->health, LEAT_HUB_HISTORY, why);
    call_after(h, leat_backoff_next(&a->backoff, leat_loop_random(h->loop)));
}

/* Asks again for the schema after a back-off. Nothing is confirmed until then. */
static void wait_for_schema(leat_hub *h)
{
    hub_phase_set(h, HUB_UNCONFIRMED);
    call_after(h, leat_backoff_next(&h->attend.backoff, leat_loop_random(h->loop)));
}

static void on_schema(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, attend.job);
    if (hub_schema_take(h, res, err))
        wait_for_schema(h);
    else
        attend(h);
}

static void on_answer(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, attend.job);
    bool again = h->attend.state == HUB_ATTEND_CALLED_EARLY;
    if (err == 0)
        err = check_answer(h, res);
    if (err == 0)
        err = take_key(h, leat_pg_result_value(res, 0, COL_KEY));
    if (err < 0) {
        call_failed(h, leat_pg_job_reason(res, err));
        return;
    }
    if (h->schema_too_new) { /* hub_problems.c has found that out in the meantime */
        wait_for_schema(h);
        return;
    }
    h->attend.state = HUB_ATTEND_RESTS;
    adopt(h, res, err == 1);
    if (again)
        call_soon(h);
}
