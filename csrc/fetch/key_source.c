/* key_source.c - begin_fetch -> on_fetched -> (a while) on_due -> begin_fetch ... */
#include "fetch/key_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    FIRST_RETRY_MS = 1000,
    LAST_RETRY_MS = 60000,
    MS_A_SECOND = 1000,
    JITTER_DIVISOR = 10, /* a refresh comes up to a tenth earlier */
};

enum state { WAITING, FETCHING };

struct leat_key_source {
    size_t refs;
    leat_key_source_options options;
    char *url;
    char *ca_file;
    char *name; /* the URL without what may be secret, for the log */
    enum state state;
    leat_fetch *fetch; /* FETCHING */
    leat_deadline due; /* WAITING: the next fetch */
    uint64_t due_ms;
    uint64_t began_ms;   /* the last fetch */
    uint64_t made_ms;    /* the source */
    uint64_t fetched_ms; /* the keys */
    leat_jwk_set *set;   /* NULL: none were fetched yet */
    unsigned failures;   /* in a row */
    leat_list waiters;
};

static void begin_fetch(leat_key_source *s);
static void on_fetched(void *arg, int err, leat_slice body, const char *reason);
static void on_due(leat_deadline *d);

/* --- life --- */

leat_key_source *leat_key_source_new(const leat_key_source_options *options)
{
    leat_key_source *s = leat_calloc(1, sizeof(*s));
    s->refs = 1;
    s->options = *options;
    s->url = leat_strdup(options->url);
    s->ca_file = options->ca_file == NULL ? NULL : leat_strdup(options->ca_file);
    s->name = leat_memdup(s->url, strcspn(s->url, "?#"));
    s->made_ms = leat_loop_now(options->loop);
    leat_list_init(&s->waiters);
    leat_deadline_init(&s->due);
    begin_fetch(s);
    return s;
}

leat_key_source *leat_key_source_ref(leat_key_source *s)
{
    s->refs++;
    return s;
}

void leat_key_source_unref(leat_key_source *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    LEAT_ASSERT(leat_list_empty(&s->waiters)); /* a waiter has a reference */
    leat_deadline_cancel(&s->due);
    if (s->fetch != NULL)
        leat_fetch_cancel(s->fetch);
    s->options.gone(s->options.arg, s);
    leat_jwk_set_unref(s->set);
    free(s->url);
    free(s->ca_file);
    free(s->name);
    free(s);
}

/* --- asking --- */

static uint64_t now_ms(const leat_key_source *s)
{
    return leat_loop_now(s->options.loop);
}

int64_t leat_key_source_age_s(const leat_key_source *s)
{
    uint64_t since = s->set != NULL ? s->fetched_ms : s->made_ms;
    return (int64_t)((now_ms(s) - since) / MS_A_SECOND);
}

leat_jwk_set *leat_key_source_set(const leat_key_source *s)
{
    uint64_t max_ms = s->options.limits->jwks_max_age_s * MS_A_SECOND;
    return s->set != NULL && now_ms(s) - s->fetched_ms < max_ms ? s->set : NULL;
}

bool leat_key_source_in_doubt(const leat_key_source *s)
{
    return s->failures > 0;
}

uint32_t leat_key_source_retry_ms(const leat_key_source *s)
{
    uint64_t now = now_ms(s);
    if (s->state == FETCHING || s->due_ms <= now)
        return FIRST_RETRY_MS;
    uint64_t left = s->due_ms - now;
    return left < LAST_RETRY_MS ? (uint32_t)left : LAST_RETRY_MS;
}

bool leat_key_source_want(leat_key_source *s)
{
    if (s->state == WAITING && now_ms(s) - s->began_ms >= s->options.limits->jwks_min_interval_ms)
        begin_fetch(s);
    return s->state == FETCHING;
}

void leat_key_waiter_init(leat_key_waiter *w)
{
    leat_list_init(&w->link_);
}

void leat_key_source_wait(leat_key_source *s, leat_key_waiter *w, leat_key_waiter_cb cb)
{
    LEAT_ASSERT(s->state == FETCHING);
    w->cb_ = cb;
    leat_list_push(&s->waiters, &w->link_);
}

void leat_key_waiter_stop(leat_key_waiter *w)
{
    leat_list_unlink(&w->link_);
}

/* --- fetching --- */

static void begin_fetch(leat_key_source *s)
{
    leat_fetch_options options = {
        .url = s->url,
        .ca_file = s->ca_file,
        .allow_http = s->options.allow_http,
        .timeout_ms = s->options.limits->jwks_timeout_ms,
        .max_bytes = s->options.limits->jwks_max_bytes,
    };
    leat_deadline_cancel(&s->due);
    s->state = FETCHING;
    s->began_ms = now_ms(s);
    s->fetch = leat_fetch_start(s->options.fetcher, &options, on_fetched, s);
}

static void wait_for(leat_key_source *s, uint64_t ms)
{
    s->state = WAITING;
    s->due_ms = now_ms(s) + ms;
    leat_loop_at(s->options.loop, &s->due, s->due_ms, on_due);
}

static void on_due(leat_deadline *d)
{
    begin_fetch(LEAT_CONTAINER_OF(d, leat_key_source, due));
}

/* Returns owned; NULL with a reason if the document has no keys. */
static leat_jwk_set *parse(leat_slice body, const char **reason)
{
    leat_jwk_set *set = leat_jwk_set_new();
    if (leat_jwk_set_add_json(set, body, LEAT_JWK_SET_PROVIDER, reason) == 0)
        return set;
    leat_jwk_set_unref(set);
    return NULL;
}

static void note_failure(leat_key_source *s, const char *reason)
{
    char name[300];
    char text[300];
    s->failures++;
    leat_metrics_add(s->options.metrics, LEAT_M_JWKS_FETCHES_FAILED, 1);
    LEAT_LOG_WARN("fetch", "keys not fetched url=%s age_s=%lld err=%s",
                  leat_log_quote(name, sizeof(name), s->name, strlen(s->name)),
                  (long long)leat_key_source_age_s(s),
                  leat_log_quote(text, sizeof(text), reason, strlen(reason)));
    wait_for(s, leat_backoff_ms(FIRST_RETRY_MS, LAST_RETRY_MS, s->failures,
                                leat_loop_random(s->options.loop)));
}

/* Takes the set over. */
static void note_success(leat_key_source *s, leat_jwk_set *set)
{
    if (s->failures > 0 || s->set == NULL) {
        char name[300];
        LEAT_LOG_INFO("fetch", "keys fetched url=%s",
                      leat_log_quote(name, sizeof(name), s->name, strlen(s->name)));
    }
    leat_jwk_set_unref(s->set);
    s->set = set;
    s->fetched_ms = now_ms(s);
    s->failures = 0;
    leat_metrics_add(s->options.metrics, LEAT_M_JWKS_FETCHES_OK, 1);
    uint64_t refresh_ms = s->options.limits->jwks_refresh_s * MS_A_SECOND;
    uint64_t earlier =
        leat_random_below(leat_loop_random(s->options.loop), refresh_ms / JITTER_DIVISOR + 1);
    wait_for(s, refresh_ms - earlier);
}

static void on_fetched(void *arg, int err, leat_slice body, const char *reason)
{
    leat_key_source *s = arg;
    s->fetch = NULL;
    leat_jwk_set *set = err == 0 ? parse(body, &reason) : NULL;
    if (set != NULL)
        note_success(s, set);
    else
        note_failure(s, reason);
    s->options.changed(s->options.arg);
    leat_list waiters;
    leat_list_move(&waiters, &s->waiters);
    leat_key_source_ref(s); /* a waiter may drop the last one */
    for (leat_list *link; (link = leat_list_shift(&waiters)) != NULL;) {
        leat_key_waiter *w = LEAT_CONTAINER_OF(link, leat_key_waiter, link_);
        w->cb_(w);
    }
    leat_key_source_unref(s);
}
