/* catalog.h - what an app has registered: its handlers, and which of them serves a name.
 *
 * Ownership  the catalog owns patterns and texts. Functions are references in the registry of the
 *            Lua state, which ends with the catalog's leat_lua.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none: whoever adds has checked.
 *
 * It fills while the app's file runs (api_app.c) and does not change afterwards. Patterns are tried
 * in their order (leat_pattern_compare): those with more literal bytes first.
 */
#ifndef LEAT_SCRIPT_TASK_CATALOG_H
#define LEAT_SCRIPT_TASK_CATALOG_H

#include <stdbool.h>

#include "base/labelled.h"
#include "base/map.h"
#include "core/route.h"
#include "script/value/pattern.h"

enum { LEAT_CATALOG_NO_HANDLER = -2 }; /* LUA_NOREF */

/* The handlers of a topic, as their counters are kept. */
enum {
    LEAT_CATALOG_SUBSCRIBE,
    LEAT_CATALOG_REFRESH,
    LEAT_CATALOG_SNAPSHOT,
    LEAT_CATALOG_PUBLISH,
    LEAT_CATALOG_EVENT,
    LEAT_CATALOG_TOPIC_HANDLERS,
};

/* app:topic. A function that the app did not give is LEAT_CATALOG_NO_HANDLER. */
typedef struct leat_catalog_topic {
    leat_pattern *pattern;
    char *text;
    int subscribe;
    int publish;
    int event;
    leat_labelled *counts; /* of the pattern */
    leat_labelled *times[LEAT_CATALOG_TOPIC_HANDLERS];
} leat_catalog_topic;

/* app:method */
typedef struct leat_catalog_method {
    leat_map_entry entry; /* by name, which follows */
    int fn;
    leat_labelled *times;
    char name[];
} leat_catalog_method;

/* app:route, app:stream, app:websocket */
typedef struct leat_catalog_route {
    leat_route_kind kind;
    leat_pattern *pattern;
    char *method;
    char *path;
    char *topic; /* STREAM: the template */
    bool is_public;
    int fn; /* HTTP: the handler; WEBSOCKET: open */
    int message;
    int close;
    leat_labelled *times;
} leat_catalog_route;

typedef struct leat_catalog {
    bool complete; /* the app has loaded: nothing is added any more */
    int connect;   /* the connect handler, or LEAT_CATALOG_NO_HANDLER */
    leat_labelled *connect_times;
    leat_catalog_topic *topics;
    size_t n_topics;
    leat_catalog_route *routes;
    size_t n_routes;
    leat_map methods;
} leat_catalog;

void leat_catalog_init(leat_catalog *c);
void leat_catalog_close(leat_catalog *c);

/* Each takes the pattern, copies the texts, and returns the new entry, whose functions the caller
 * sets before it adds another. */
leat_catalog_topic *leat_catalog_add_topic(leat_catalog *c, leat_pattern *pattern, leat_slice text);
leat_catalog_route *leat_catalog_add_route(leat_catalog *c, leat_pattern *pattern,
                                           leat_slice method, leat_slice path);
leat_catalog_method *leat_catalog_add_method(leat_catalog *c, leat_slice name);

/* Nothing is added any more. Finds the counters of all patterns and handlers. */
void leat_catalog_complete(leat_catalog *c, leat_metrics *m);

/* The first topic whose pattern matches; NULL if none does. */
const leat_catalog_topic *leat_catalog_find_topic(const leat_catalog *c, leat_slice topic);
const leat_catalog_method *leat_catalog_find_method(const leat_catalog *c, leat_slice name);

#endif
