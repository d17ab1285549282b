/* catalog.c - entries are kept in the order in which they are tried: by pattern, otherwise as they
 * were registered. */
#include "script/task/catalog.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/container_of.h"
#include "base/mem.h"

_Static_assert(LEAT_CATALOG_NO_HANDLER == LUA_NOREF, "a reference to nothing");

void leat_catalog_init(leat_catalog *c)
{
    *c = (leat_catalog){.connect = LEAT_CATALOG_NO_HANDLER};
    leat_map_init(&c->methods);
}

static void free_topics(leat_catalog *c)
{
    for (size_t i = 0; i < c->n_topics; i++) {
        leat_pattern_free(c->topics[i].pattern);
        free(c->topics[i].text);
    }
    free(c->topics);
}

static void free_routes(leat_catalog *c)
{
    for (size_t i = 0; i < c->n_routes; i++) {
        leat_catalog_route *r = &c->routes[i];
        leat_pattern_free(r->pattern);
        free(r->method);
        free(r->path);
        free(r->topic);
    }
    free(c->routes);
}

void leat_catalog_close(leat_catalog *c)
{
    free_topics(c);
    free_routes(c);
    leat_map_entry *e;
    while ((e = leat_map_next(&c->methods, NULL)) != NULL) {
        leat_map_remove(&c->methods, e);
        free(LEAT_CONTAINER_OF(e, leat_catalog_method, entry));
    }
    leat_map_close(&c->methods);
}

leat_catalog_topic *leat_catalog_add_topic(leat_catalog *c, leat_pattern *pattern, leat_slice text)
{
    size_t at = c->n_topics++;
    c->topics = leat_realloc(c->topics, c->n_topics * sizeof(*c->topics));
    for (; at > 0 && leat_pattern_compare(pattern, c->topics[at - 1].pattern) < 0; at--)
        c->topics[at] = c->topics[at - 1];
    c->topics[at] = (leat_catalog_topic){
        .pattern = pattern,
        .text = leat_memdup(text.at, text.len),
        .subscribe = LEAT_CATALOG_NO_HANDLER,
        .publish = LEAT_CATALOG_NO_HANDLER,
        .event = LEAT_CATALOG_NO_HANDLER,
    };
    return &c->topics[at];
}

leat_catalog_route *leat_catalog_add_route(leat_catalog *c, leat_pattern *pattern,
                                           leat_slice method, leat_slice path)
{
    size_t at = c->n_routes++;
    c->routes = leat_realloc(c->routes, c->n_routes * sizeof(*c->routes));
    for (; at > 0 && leat_pattern_compare(pattern, c->routes[at - 1].pattern) < 0; at--)
        c->routes[at] = c->routes[at - 1];
    c->routes[at] = (leat_catalog_route){
        .pattern = pattern,
        .method = leat_memdup(method.at, method.len),
        .path = leat_memdup(path.at, path.len),
        .fn = LEAT_CATALOG_NO_HANDLER,
        .message = LEAT_CATALOG_NO_HANDLER,
        .close = LEAT_CATALOG_NO_HANDLER,
    };
    return &c->routes[at];
}

leat_catalog_method *leat_catalog_add_method(leat_catalog *c, leat_slice name)
{
    leat_catalog_method *m = leat_calloc(1, sizeof(*m) + name.len + 1);
    memcpy(m->name, name.at, name.len);
    m->fn = LEAT_CATALOG_NO_HANDLER;
    leat_map_add(&c->methods, &m->entry, (leat_slice){m->name, name.len});
    return m;
}

static void count_topic(leat_catalog_topic *t, leat_metrics *m)
{
    const struct {
        const char *kind;
        int fn; /* without it there is no such handler */
    } handlers[LEAT_CATALOG_TOPIC_HANDLERS] = {
        [LEAT_CATALOG_SUBSCRIBE] = {"subscribe", t->subscribe},
        [LEAT_CATALOG_REFRESH] = {"refresh", t->subscribe},   /* a subscribe handler gives it, */
        [LEAT_CATALOG_SNAPSHOT] = {"snapshot", t->subscribe}, /* and this one */
        [LEAT_CATALOG_PUBLISH] = {"publish", t->publish},
        [LEAT_CATALOG_EVENT] = {"event", t->event},
    };
    leat_slice name = leat_slice_of(t->text);
    t->counts = leat_labelled_pattern(m, name);
    for (int i = 0; i < LEAT_CATALOG_TOPIC_HANDLERS; i++)
        if (handlers[i].fn != LEAT_CATALOG_NO_HANDLER)
            t->times[i] = leat_labelled_handler(m, handlers[i].kind, name);
}

static void count_route(leat_catalog_route *r, leat_metrics *m)
{
    leat_buf name = LEAT_BUF_INIT;
    leat_buf_printf(&name, "%s %s", r->method, r->path);
    const char *kind = r->kind == LEAT_ROUTE_WEBSOCKET ? "websocket" : "route";
    r->times = leat_labelled_handler(m, kind, leat_buf_view(&name));
    leat_buf_close(&name);
}

void leat_catalog_complete(leat_catalog *c, leat_metrics *m)
{
    c->complete = true;
    if (c->connect != LEAT_CATALOG_NO_HANDLER)
        c->connect_times = leat_labelled_handler(m, "connect", leat_slice_of(""));
    for (size_t i = 0; i < c->n_topics; i++)
        count_topic(&c->topics[i], m);
    for (size_t i = 0; i < c->n_routes; i++)
        count_route(&c->routes[i], m);
    for (leat_map_entry *e = leat_map_next(&c->methods, NULL); e != NULL;
         e = leat_map_next(&c->methods, e)) {
        leat_catalog_method *method = LEAT_CONTAINER_OF(e, leat_catalog_method, entry);
        method->times = leat_labelled_handler(m, "method", leat_slice_of(method->name));
    }
}

const leat_catalog_topic *leat_catalog_find_topic(const leat_catalog *c, leat_slice topic)
{
    for (size_t i = 0; i < c->n_topics; i++) {
        if (leat_pattern_matches(c->topics[i].pattern, topic))
            return &c->topics[i];
    }
    return NULL;
}

const leat_catalog_method *leat_catalog_find_method(const leat_catalog *c, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&c->methods, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_catalog_method, entry);
}
