/* work.h - what each kind of handler works on, besides what all tasks have (task.h).
 *
 * Ownership  as each field says. The release of the kind gives back what is owned.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_SCRIPT_TASK_WORK_H
#define LEAT_SCRIPT_TASK_WORK_H

#include <stdint.h>

#include "core/route.h"
#include "script/task/catalog.h"
#include "script/task/session.h"

struct leat_raw;

/* connect */
typedef struct leat_work_connect {
    uint64_t client;    /* the number of the connection, which has no session yet */
    leat_planned *plan; /* owned until the session takes it; in order */
    leat_planned *last;
    size_t n_planned;
} leat_work_connect;

/* subscribe */
typedef struct leat_work_subscribe {
    const leat_catalog_topic *topic; /* NULL: no pattern matches */
    leat_session_grant *grant;       /* made by the handler; owned until the answer hands it over */
    int nesting;                     /* leat.subscribe calls, one inside the other */
} leat_work_subscribe;

/* refresh, snapshot */
typedef struct leat_work_read {
    leat_session_grant *grant; /* borrowed */
    int fn;                    /* the grant's function, a kept value (keep.h) */
} leat_work_read;

/* publish, event */
typedef struct leat_work_event {
    const leat_catalog_topic *topic; /* NULL: no pattern matches */
    int64_t seq;                     /* event */
} leat_work_event;

/* method */
typedef struct leat_work_method {
    int fn; /* a reference in the registry, which the catalog owns */
} leat_work_method;

/* route */
typedef struct leat_work_route {
    const leat_catalog_route *route;
    leat_route_cb cb;
    int status; /* of the response */
} leat_work_route;

/* websocket: open, message, close */
typedef struct leat_work_raw {
    struct leat_raw *raw; /* waits for the task, or cancels it */
    int fn;               /* a reference in the registry, which the catalog owns */
} leat_work_raw;

typedef union leat_work {
    leat_work_connect connect;
    leat_work_subscribe subscribe;
    leat_work_read read;
    leat_work_event event;
    leat_work_method method;
    leat_work_route route;
    leat_work_raw raw;
} leat_work;

#endif
