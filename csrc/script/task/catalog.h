/* catalog.h - what an app has registered: its topics, methods and routes.
 *
 * Ownership  all of it belongs to the leat_lua; functions are references in its registry.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_SCRIPT_TASK_CATALOG_H
#define LEAT_SCRIPT_TASK_CATALOG_H

#include <stdbool.h>

#include "base/map.h"
#include "core/route.h"
#include "script/value/pattern.h"

/* app:topic. Functions are registry references, LUA_NOREF where there is none. */
typedef struct leat_vm_topic {
    leat_pattern *pattern;
    char *text;
    int subscribe;
    int publish;
    int event;
} leat_vm_topic;

/* app:method */
typedef struct leat_vm_method {
    leat_map_entry entry; /* by name, which follows */
    int fn;
    char name[];
} leat_vm_method;

/* app:route, app:stream, app:websocket */
typedef struct leat_vm_route {
    leat_route_kind kind;
    leat_pattern *pattern;
    char *method;
    char *path;
    char *topic; /* STREAM: the template */
    bool is_public;
    int fn; /* HTTP: the handler; WEBSOCKET: open */
    int message;
    int close;
} leat_vm_route;

#endif
