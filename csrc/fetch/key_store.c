/* key_store.c - a list of sources; the first one starts the thread that fetches. */
#include "fetch/key_store.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

struct entry {
    leat_map_entry entry;
    leat_key_source *source; /* not counted */
    char *key;               /* URL, certificates and scheme: what makes a source another one */
};

struct leat_key_store {
    leat_loop *loop;
    leat_metrics *metrics;
    const leat_limits *limits;
    leat_fetcher *fetcher; /* NULL until there is a source */
    leat_map sources;
};

leat_key_store *leat_key_store_new(leat_loop *loop, leat_metrics *metrics,
                                   const leat_limits *limits)
{
    leat_key_store *store = leat_calloc(1, sizeof(*store));
    store->loop = loop;
    store->metrics = metrics;
    store->limits = limits;
    leat_map_init(&store->sources);
    return store;
}

void leat_key_store_close(leat_key_store *store, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(store->sources.count == 0);
    leat_fetcher *fetcher = store->fetcher;
    leat_map_close(&store->sources);
    free(store);
    if (fetcher != NULL)
        leat_fetcher_close(fetcher, done, arg);
    else if (done != NULL)
        done(arg);
}

/* Sets the age of the oldest keys. */
static void on_changed(void *arg)
{
    leat_key_store *store = arg;
    int64_t oldest = 0;
    const leat_map_entry *e = NULL;
    while ((e = leat_map_next(&store->sources, e)) != NULL) {
        int64_t age = leat_key_source_age_s(LEAT_CONTAINER_OF(e, struct entry, entry)->source);
        oldest = age > oldest ? age : oldest;
    }
    leat_metrics_set(store->metrics, LEAT_M_JWKS_AGE, oldest);
}

static void on_gone(void *arg, leat_key_source *source)
{
    leat_key_store *store = arg;
    for (leat_map_entry *e = NULL; (e = leat_map_next(&store->sources, e)) != NULL;) {
        struct entry *entry = LEAT_CONTAINER_OF(e, struct entry, entry);
        if (entry->source != source)
            continue;
        leat_map_remove(&store->sources, e);
        free(entry->key);
        free(entry);
        break;
    }
    on_changed(store);
}

static leat_key_source *make(leat_key_store *store, const char *url, const char *ca_file,
                             bool allow_http)
{
    leat_key_source_options options = {
        .loop = store->loop,
        .fetcher = store->fetcher,
        .metrics = store->metrics,
        .limits = store->limits,
        .url = url,
        .ca_file = ca_file,
        .allow_http = allow_http,
        .changed = on_changed,
        .gone = on_gone,
        .arg = store,
    };
    return leat_key_source_new(&options);
}

int leat_key_store_open(leat_key_source **out, leat_key_store *store, const char *url,
                        const char *ca_file, bool allow_http)
{
    leat_buf key = LEAT_BUF_INIT;
    leat_buf_printf(&key, "%d %s %s", allow_http, url, ca_file == NULL ? "" : ca_file);
    leat_map_entry *e = leat_map_get(&store->sources, leat_buf_view(&key));
    if (e != NULL) {
        leat_buf_close(&key);
        *out = leat_key_source_ref(LEAT_CONTAINER_OF(e, struct entry, entry)->source);
        return 0;
    }
    if (store->fetcher == NULL) {
        int err = leat_fetcher_new(&store->fetcher, leat_loop_uv(store->loop));
        if (err < 0) {
            leat_buf_close(&key);
            return err;
        }
    }
    struct entry *entry = leat_calloc(1, sizeof(*entry));
    size_t len = 0;
    entry->key = leat_buf_detach(&key, &len);
    entry->source = make(store, url, ca_file, allow_http);
    leat_map_add(&store->sources, &entry->entry, (leat_slice){entry->key, len});
    *out = entry->source;
    return 0;
}
