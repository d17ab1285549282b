/* http_side.h - what the HTTP connections of one worker share.
 *
 * Ownership  embedded in the worker, which sets what is borrowed; connections put themselves on
 *            the list and take themselves off.
 * Threads    loop thread of the worker.
 * Units      milliseconds, bytes.
 * Errors     none.
 */
#ifndef LEAT_HTTP_HTTP_SIDE_H
#define LEAT_HTTP_HTTP_SIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/metrics.h"
#include "core/core.h"
#include "http/http_gzip.h"
#include "http/http_policy.h"
#include "hub/hub.h"
#include "loop/loop.h"
#include "net/address_limit.h"
#include "net/host_list.h"
#include "net/ip.h"
#include "net/tls_side.h"
#include "pg/pg_pool.h"
#include "wire/http.h"
#include "wire/upgrade.h"

/* The pot in which a connection's bytes are counted. */
typedef enum leat_http_pot {
    LEAT_HTTP_POT_GUESTS,  /* nobody has let the caller in yet */
    LEAT_HTTP_POT_CALLERS, /* a request whose caller was let in */
    LEAT_HTTP_POTS,
} leat_http_pot;

/* The listener through which a connection came. */
typedef enum leat_http_door {
    LEAT_HTTP_DOOR_PUBLIC,
    LEAT_HTTP_DOOR_TLS,      /* tls_listen: likewise, behind TLS */
    LEAT_HTTP_DOOR_METRICS,  /* metrics_listen: health and metrics, and nothing else */
    LEAT_HTTP_DOOR_OPERATOR, /* the control's: its socket, and the console */
    LEAT_HTTP_DOOR_HOST,     /* the HTTP server of the program around us: one request */
    LEAT_HTTP_DOORS,
} leat_http_door;

/* What an operator sets. Texts are borrowed. */
typedef struct leat_http_options {
    leat_http_limits head;            /* of one request */
    uint64_t header_timeout_ms;       /* from a request's first byte to its whole head, or body */
    uint64_t keep_alive_timeout_ms;   /* between two requests */
    const char *allowed_origins;      /* "": the server's own */
    const char *static_dir;           /* "": none */
    const char *centrifuge_path;      /* of Centrifugo's protocol; "": none */
    const char *client_dir;           /* of the JavaScript client, served at /leat/ */
    const leat_http_policy *policy;   /* headers, and who may read answers */
    const leat_host_list *hosts;      /* allowed_hosts */
    bool local_only[LEAT_HTTP_DOORS]; /* no other machine reaches it: local names only */
    const leat_networks *trusted;     /* proxies whose headers are believed */
    const leat_networks *introducing; /* proxies that begin with a PROXY header */
    bool has_metrics_door;            /* metrics_listen is set */
    size_t max_connections;           /* this worker's share */
    size_t max_unauthenticated;       /* likewise */
    size_t max_bytes[LEAT_HTTP_POTS]; /* of what HTTP connections hold; this worker's share */
} leat_http_options;

/* Of connections, for the log. */
typedef struct leat_http_refusals {
    uint64_t logged_ms; /* when one was last logged; 0: never */
    uint64_t n;         /* since then */
} leat_http_refusals;

typedef struct leat_http_side {
    /* Set by the worker. */
    leat_loop *loop;
    leat_metrics *metrics;
    leat_metrics_registry *registry;
    leat_core *core; /* with the current scripts */
    leat_hub *hub;
    leat_pg_pool *pool;
    const leat_limits *limits;
    const leat_http_options *options;
    leat_address_limit *addresses; /* the process's */
    leat_http_gzip *gzip;          /* NULL: nothing is compressed */
    leat_tls_side *tls;            /* NULL: tls_listen is not set */
    leat_accept *accept;
    leat_buf reload_failure; /* one line: why the last reload failed; empty: it has not */
    bool draining;
    /* While draining: the last request has been answered; or all connections are gone. May be NULL.
     */
    void (*on_quiet)(void *arg);
    void *on_quiet_arg;

    /* The connections' own. */
    leat_list arrivals; /* whose PROXY header is not read yet (http_arrival.h) */
    size_t n_arrivals;
    leat_list conns;
    size_t n_conns;           /* that have not been handed on */
    size_t n_busy;            /* of these, with a request that is not yet answered */
    size_t n_awaited;         /* of these, without an answer so far */
    size_t n_turned_away;     /* of these, only to be told 503 */
    size_t n_metrics;         /* of these, at the door of metrics_listen */
    size_t n_unauthenticated; /* WebSocket clients that bring their token in the first message */
    leat_http_refusals of_addresses;
    leat_http_refusals of_all; /* over max_connections */
    size_t bytes[LEAT_HTTP_POTS];
} leat_http_side;

/* Counts and logs that a connection is refused over max_connections. */
void leat_http_side_refuses_all(leat_http_side *side);

/* Counts and logs that an address was refused, or nothing if it was not. True if it was. */
bool leat_http_side_refuses(leat_http_side *side, leat_address_verdict verdict, const leat_ip *ip);

/* A connection that held before bytes now holds after. */
void leat_http_side_count(leat_http_side *side, leat_http_pot pot, size_t before, size_t after);
/* True if a connection that holds so much must let go of it. Half of a pot is kept for those who
 * hold next to nothing, so that no crowd of large heads keeps out requests of usual size. */
bool leat_http_side_full(const leat_http_side *side, leat_http_pot pot, size_t held);

#endif
