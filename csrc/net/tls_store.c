/* tls_store.c - a look compares each file with its stamp of the last try. A pair of which a file
 * has changed, or that failed at the last look, is loaded; if any succeeds, a new set replaces the
 * old one. Handshakes under way end with the set with which they began. */
#include "net/tls_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/tls_files.h"

typedef struct entry {
    leat_tls_identity identity;
    leat_tls_stamp certificate, key, client_ca; /* of the last try */
    bool failed;                                /* the last try has */
    leat_buf failure;                           /* why, one line */
    int64_t not_after_s;                        /* of the identity, for other threads */
    int64_t told_days;                          /* the days left when log_expiry last looked */
} entry;

struct leat_tls_store {
    pthread_mutex_t lock; /* of set, and of each entry's failure and not_after_s */
    leat_tls_set *set;
    leat_tls_tickets *tickets;
    leat_metrics *metrics;
    leat_tls_pairs pairs;
    char *client_ca;
    leat_tls_clients clients;
    entry *entries; /* one for each pair */
};

static int load(leat_tls_store *s, size_t i, leat_buf *error)
{
    leat_tls_identity fresh;
    int err = leat_tls_identity_load(&fresh, &s->pairs.at[i], s->client_ca, s->clients, s->tickets,
                                     error);
    if (err < 0)
        return err;
    leat_tls_identity_free(&s->entries[i].identity);
    s->entries[i].identity = fresh;
    return 0;
}

static void stamp(leat_tls_store *s, size_t i, entry *out)
{
    out->certificate = leat_tls_stamp_of(s->pairs.at[i].certificate);
    out->key = leat_tls_stamp_of(s->pairs.at[i].key);
    out->client_ca = leat_tls_stamp_of(s->client_ca);
}

/* Makes a set of all identities that are there, the current one. */
static void publish(leat_tls_store *s)
{
    leat_tls_identity *all = leat_calloc(s->pairs.n, sizeof(*all));
    for (size_t i = 0; i < s->pairs.n; i++)
        all[i] = s->entries[i].identity;
    leat_tls_set *fresh = leat_tls_set_new(all, s->pairs.n);
    free(all);
    leat_metrics_set(s->metrics, LEAT_M_TLS_EXPIRY, leat_tls_set_not_after_s(fresh));
    pthread_mutex_lock(&s->lock);
    leat_tls_set *old = s->set;
    s->set = fresh;
    for (size_t i = 0; i < s->pairs.n; i++)
        s->entries[i].not_after_s = s->entries[i].identity.not_after_s;
    pthread_mutex_unlock(&s->lock);
    leat_tls_set_unref(old);
}

static int load_all(leat_tls_store *s, leat_buf *error)
{
    s->entries = leat_calloc(s->pairs.n, sizeof(*s->entries));
    for (size_t i = 0; i < s->pairs.n; i++) {
        stamp(s, i, &s->entries[i]);
        int err = load(s, i, error);
        if (err < 0)
            return err;
    }
    publish(s);
    for (size_t i = 0; i < s->pairs.n; i++) /* the start has told of them */
        s->entries[i].told_days = leat_tls_days_left(s->entries[i].not_after_s, time(NULL));
    return 0;
}

int leat_tls_store_new(leat_tls_store **out, const leat_tls_files *files, leat_metrics *metrics,
                       leat_buf *error)
{
    leat_tls_pairs pairs;
    int err = leat_tls_pairs_parse(&pairs, files->certificates, files->keys, error);
    if (err < 0)
        return err;
    leat_tls_store *s = leat_calloc(1, sizeof(*s));
    LEAT_ASSERT(pthread_mutex_init(&s->lock, NULL) == 0);
    s->pairs = pairs;
    s->tickets = leat_tls_tickets_new();
    s->metrics = metrics;
    s->client_ca = leat_strdup(files->client_ca);
    s->clients = files->clients;
    err = load_all(s, error);
    if (err < 0)
        leat_tls_store_free(s);
    else
        *out = s;
    return err;
}

void leat_tls_store_free(leat_tls_store *s)
{
    if (s == NULL)
        return;
    leat_tls_set_unref(s->set);
    for (size_t i = 0; i < s->pairs.n; i++) {
        leat_tls_identity_free(&s->entries[i].identity);
        leat_buf_close(&s->entries[i].failure);
    }
    free(s->entries);
    leat_tls_pairs_free(&s->pairs);
    leat_tls_tickets_free(s->tickets);
    pthread_mutex_destroy(&s->lock);
    free(s->client_ca);
    free(s);
}

leat_tls_set *leat_tls_store_take(leat_tls_store *s)
{
    pthread_mutex_lock(&s->lock);
    leat_tls_set *set = leat_tls_set_ref(s->set);
    pthread_mutex_unlock(&s->lock);
    return set;
}

/* --- looking --- */

static bool has_changed(const entry *then, const entry *now)
{
    return !leat_tls_stamp_equal(&then->certificate, &now->certificate) ||
           !leat_tls_stamp_equal(&then->key, &now->key) ||
           !leat_tls_stamp_equal(&then->client_ca, &now->client_ca);
}

/* A failure is logged and counted once for each state of the files. */
static void report(leat_tls_store *s, size_t i, const leat_buf *error, bool is_news)
{
    char quoted[512];
    if (error->len == 0) {
        LEAT_LOG_INFO("tls", "certificate reloaded file=%s", s->pairs.at[i].certificate);
        leat_metrics_add(s->metrics, LEAT_M_TLS_RELOADS_OK, 1);
    } else if (is_news) {
        LEAT_LOG_WARN("tls", "certificate not reloaded, the old one stays err=%s",
                      leat_log_quote(quoted, sizeof(quoted), error->at, error->len));
        leat_metrics_add(s->metrics, LEAT_M_TLS_RELOADS_FAILED, 1);
    }
}

static void note_failure(leat_tls_store *s, leat_buf *failure, const leat_buf *error)
{
    pthread_mutex_lock(&s->lock);
    failure->len = 0;
    leat_buf_slice(failure, leat_buf_view(error));
    for (size_t i = 0; i < failure->len; i++)
        if (failure->at[i] == '\n')
            failure->at[i] = ' ';
    pthread_mutex_unlock(&s->lock);
}

void leat_tls_store_tell(leat_tls_store *s, leat_buf *lines)
{
    leat_buf end = LEAT_BUF_INIT;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->pairs.n; i++) {
        const entry *e = &s->entries[i];
        if (e->failure.len > 0) {
            leat_buf_text(lines, "certificate: not reloaded, the old one stays: ");
            leat_buf_slice(lines, leat_buf_view(&e->failure));
            leat_buf_char(lines, '\n');
        }
        end.len = 0;
        leat_tls_expiry_tell(&end, s->pairs.at[i].certificate, e->not_after_s, time(NULL));
        if (end.len > 0)
            leat_buf_printf(lines, "certificate: %.*s\n", (int)end.len, end.at);
    }
    pthread_mutex_unlock(&s->lock);
    leat_buf_close(&end);
}

/* Logs that the certificate expires soon, or has expired: once a day. */
static void log_expiry(leat_tls_store *s, size_t i)
{
    entry *e = &s->entries[i];
    int64_t now_s = time(NULL), not_after_s = e->identity.not_after_s;
    int64_t days = leat_tls_days_left(not_after_s, now_s);
    char quoted[512];
    leat_buf text = LEAT_BUF_INIT;
    if (days == e->told_days)
        return;
    e->told_days = days;
    leat_tls_expiry_tell(&text, s->pairs.at[i].certificate, not_after_s, now_s);
    if (text.len > 0)
        leat_log_quote(quoted, sizeof(quoted), text.at, text.len);
    if (text.len > 0 && days < 0)
        LEAT_LOG_ERROR("tls", "certificate expired, clients refuse it problem=%s", quoted);
    else if (text.len > 0)
        LEAT_LOG_WARN("tls", "certificate expires soon problem=%s", quoted);
    leat_buf_close(&text);
}

/* Returns true if the pair was loaded anew. */
static bool look_at(leat_tls_store *s, size_t i)
{
    entry *e = &s->entries[i];
    entry now = {.failed = false};
    stamp(s, i, &now);
    bool changed = has_changed(e, &now);
    if (!changed && !e->failed)
        return false;
    leat_buf error = LEAT_BUF_INIT;
    bool loaded = load(s, i, &error) == 0;
    report(s, i, &error, changed);
    note_failure(s, &e->failure, &error);
    leat_buf_close(&error);
    e->certificate = now.certificate;
    e->key = now.key;
    e->client_ca = now.client_ca;
    e->failed = !loaded;
    return loaded;
}

void leat_tls_store_look(leat_tls_store *s)
{
    bool loaded = false;
    for (size_t i = 0; i < s->pairs.n; i++)
        if (look_at(s, i))
            loaded = true;
    if (loaded)
        publish(s);
    for (size_t i = 0; i < s->pairs.n; i++)
        log_expiry(s, i);
}
