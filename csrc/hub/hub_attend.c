/* hub_attend.c - asks the database whether its history is still the one that clients have seen.
 *
 * A restore, a failover or a copied data folder shows in nothing that a client or a server can see
 * by itself. So after each connect of the broker, before anybody is armed and anything is fetched,
 * leat_internal.attend compares what the server knows (its anchors) with what is there, and says
 * under which history and timeline positions go from now on. If that is another one than before,
 * every topic begins anew. It also hands out the key of the announcements.
 *
 * start_asking -> on_answer -> adopt, or fail and once more after a while.
 * hub_attend_start and hub_attend_unconfirmed put the hub into HUB_ATTENDING until then;
 * hub_attend_check looks while the work goes on.
 */
#include "hub/hub_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { GAP_MS = 1000, FIRST_BACKOFF_MS = 50, MAX_BACKOFF_MS = 2000 };

/* Rows that row security hides from the server's role look as if they were not there.
 * leat_internal.attend runs with its owner's rights and does not notice, so the same query asks for
 * row security. */
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

static void on_later(leat_deadline *d);
static void on_answer(leat_pg_job *job, leat_pg_result *res, int err);

void hub_attend_init(leat_hub *h)
{
    leat_deadline_init(&h->attend.later);
    leat_pg_job_init(&h->attend.job);
    leat_backoff_init(&h->attend.backoff, FIRST_BACKOFF_MS, MAX_BACKOFF_MS);
}

void hub_attend_stop(leat_hub *h)
{
    hub_attend *a = &h->attend;
    leat_deadline_cancel(&a->later);
    leat_pg_job_cancel(&a->job);
    a->again = false;
    hub_set_trouble(h, LEAT_HUB_HISTORY, NULL);
}

static void ask_in(leat_hub *h, uint64_t ms)
{
    leat_loop_after(h->loop, &h->attend.later, ms, on_later);
}

/* Asks again later. The hub's phase says what it does meanwhile. */
static void fail(leat_hub *h, const char *why)
{
    hub_attend *a = &h->attend;
    leat_log_series_warn(&a->failures, leat_loop_now(h->loop), "hub", "history not confirmed", why);
    hub_set_trouble(h, LEAT_HUB_HISTORY, why);
    ask_in(h, leat_backoff_next(&a->backoff, leat_loop_random(h->loop)));
}

static leat_pg_param param_of(const char *text)
{
    return text == NULL || text[0] == '\0' ? (leat_pg_param){NULL, 0} : leat_slice_of(text);
}

static void start_asking(leat_hub *h)
{
    hub_attend *a = &h->attend;
    leat_deadline_cancel(&a->later);
    a->again = false;
    a->begun_ms = leat_loop_now(h->loop);
    leat_buf anchors = LEAT_BUF_INIT;
    hub_anchor_write(&h->anchors, &anchors);
    leat_pg_param params[] = {param_of(h->fingerprint), param_of(h->history),
                              leat_buf_view(&anchors)};
    uint64_t deadline_ms = a->begun_ms + h->options.limits->control_timeout_ms;
    leat_pg_job_start(&a->job, h->pool, sql, params, 3, deadline_ms, on_answer);
    leat_buf_close(&anchors);
}

static void on_later(leat_deadline *d)
{
    start_asking(LEAT_CONTAINER_OF(d, leat_hub, attend.later));
}

void hub_attend_start(leat_hub *h)
{
    LEAT_ASSERT(h->phase == HUB_DOWN && !leat_pg_job_running(&h->attend.job));
    hub_set_phase(h, HUB_ATTENDING);
    start_asking(h);
}

/* As soon as the last one was long enough ago. */
static void ask_soon(leat_hub *h)
{
    uint64_t now = leat_loop_now(h->loop);
    uint64_t at = h->attend.begun_ms + GAP_MS;
    if (leat_pg_job_running(&h->attend.job))
        h->attend.again = true;
    else if (!leat_deadline_armed(&h->attend.later))
        ask_in(h, at > now ? at - now : 0);
}

void hub_attend_unconfirmed(leat_hub *h)
{
    if (h->phase == HUB_READY)
        hub_set_phase(h, HUB_ATTENDING);
    if (h->phase == HUB_ATTENDING)
        ask_soon(h);
}

void hub_attend_check(leat_hub *h)
{
    if (h->phase == HUB_READY)
        ask_soon(h);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As trust in broker.h. */
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

/* Under another history or timeline, every position that anybody has is of the past. */
static void take_history(leat_hub *h, const leat_pg_result *res)
{
    leat_slice timeline = leat_pg_result_value(res, 0, COL_TIMELINE);
    leat_slice history = leat_pg_result_value(res, 0, COL_HISTORY);
    leat_slice fingerprint = leat_pg_result_value(res, 0, COL_FINGERPRINT);
    bool first = h->history[0] == '\0';
    bool same = leat_slice_is(timeline, h->timeline) && leat_slice_is(history, h->history);
    free(h->fingerprint);
    h->fingerprint = leat_memdup(fingerprint.at, fingerprint.len);
    memcpy(h->timeline, timeline.at, timeline.len);
    memcpy(h->history, history.at, history.len);
    if (same)
        return;
    leat_slice verdict = leat_pg_result_value(res, 0, COL_VERDICT);
    LEAT_LOG_INFO("hub", "history verdict=%.*s history=%s timeline=%s", (int)verdict.len,
                  verdict.at, h->history, h->timeline);
    hub_anchor_clear(&h->anchors);
    if (!first)
        hub_topic_reset_all(h, LEAT_RESET_EPOCH);
}

static void adopt(leat_hub *h, const leat_pg_result *res, bool other_key)
{
    /* Until somebody confirmed this state of the database, what was published was not announced. */
    bool other_state =
        h->fingerprint == NULL ||
        !leat_slice_is(leat_pg_result_value(res, 0, COL_FINGERPRINT), h->fingerprint);
    take_history(h, res);
    take_newest(h, res);
    leat_backoff_reset(&h->attend.backoff);
    hub_set_trouble(h, LEAT_HUB_HISTORY, NULL);
    /* What was announced meanwhile is lost. */
    bool deaf = h->phase != HUB_READY || other_key || other_state;
    if (h->phase != HUB_READY) {
        hub_set_phase(h, HUB_READY);
        hub_topic_confirm_all(h);
        hub_repair_probe(h);
    }
    if (deaf)
        hub_repair_compare_all(h);
}

static void on_answer(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, attend.job);
    if (err == 0 && (leat_pg_result_rows(res) != 1 ||
                     leat_pg_result_value(res, 0, COL_TIMELINE).len != sizeof(h->timeline) - 1 ||
                     leat_pg_result_value(res, 0, COL_HISTORY).len != sizeof(h->history) - 1))
        err = LEAT_EBADMSG;
    if (err == 0 && leat_slice_is(leat_pg_result_value(res, 0, COL_HIDDEN), "t"))
        err = LEAT_EHIDDEN;
    if (err == 0)
        err = take_key(h, leat_pg_result_value(res, 0, COL_KEY));
    if (err < 0) {
        fail(h, leat_pg_job_reason(res, err));
        return;
    }
    adopt(h, res, err == 1);
    if (h->attend.again)
        ask_soon(h);
}
