/* limits.h - every bound and timeout of the core, as configured (config/leat.lua says what each
 * means).
 *
 * Ownership  one leat_limits, owned by the configuration, borrowed by everyone.
 * Threads    read-only once the server runs.
 * Units      _ms milliseconds, _bytes bytes, _s seconds, the rest counts.
 * Errors     none.
 */
#ifndef LEAT_BASE_LIMITS_H
#define LEAT_BASE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/slice.h"

/* What one client, and one user, may have. A script may set other values for a user (connect). */
typedef struct leat_allowance {
    size_t max_subscriptions;          /* of one client */
    size_t max_subscriptions_per_user; /* of all clients of a user on one worker */
    size_t max_handshakes_per_user;    /* subscribes of a user on one worker, not yet answered */
    leat_rate messages;                /* of one client */
    leat_rate bytes;                   /* what one client sends, inflated */
    leat_rate controls;                /* pings and pongs of one client */
    leat_rate publishes;               /* of one user to one topic on one worker */
} leat_allowance;

/* What a script has set for a user (connect). */
typedef struct leat_terms {
    leat_allowance allowance;
    leat_slice tenant; /* at == NULL: none. What follows is of all of its users on one worker */
    size_t tenant_max_subscriptions;
    size_t tenant_max_handshakes;
    leat_rate tenant_publishes; /* to all topics */
} leat_terms;

typedef struct leat_limits {
    leat_allowance allowance; /* of everybody for whom the script sets no other */
    uint64_t control_timeout_ms;
    uint64_t max_timeout_ms; /* of a caller's own deadline */
    size_t max_connections;
    size_t max_handshakes;       /* of one worker, not yet answered */
    uint64_t retry_after_min_ms; /* what a client that is told `unavailable` is to wait */
    uint64_t retry_after_max_ms;
    size_t max_inflight;       /* requests of one client that are not yet answered */
    size_t max_message_bytes;  /* one message of a client */
    size_t max_message_values; /* JSON values in it */
    size_t max_snapshot_bytes;
    size_t max_send_buffer_bytes; /* unsent bytes of one client beyond which it is fed no more */
    uint64_t slow_client_timeout_ms;
    uint64_t authenticate_timeout_ms; /* for the first message of a client without an identity */
    size_t max_first_message_bytes;
    uint64_t first_message_timeout_ms; /* of a client that has never said anything */
    uint64_t idle_timeout_ms;          /* of one without subscriptions */
    uint64_t ping_interval_ms;
    uint64_t pong_timeout_ms;
    uint64_t close_timeout_ms; /* how long a close handshake may take */
    size_t ring_events;        /* of one topic */
    size_t ring_bytes;         /* of one topic */
    size_t max_event_bytes;    /* a larger entry of the outbox is not held */
    size_t history_events;     /* rows of one fetch from the outbox */
    size_t max_history_events; /* in one answer to a client's history */
    size_t max_history_bytes;  /* of their data, but for the first one's */
    size_t hub_pending_bytes;  /* events of one topic that wait for a hole to be filled */
    size_t worker_mail_bytes;  /* events on their way from the hub to one worker */
    size_t max_signal_backlog; /* bytes queued for a client to whom conflating signals are sent */
    size_t kept_signal_bytes;  /* of conflating signals, of one worker and for one worker */
    size_t max_turns;          /* database slots of one worker (slot.h) */
    uint64_t compare_interval_ms;
    uint64_t retention_s;
    uint64_t retention_events;
    uint64_t trim_interval_ms;
    uint64_t drain_ms;
    size_t max_token_bytes;        /* a token that leat.jwt.verify looks at */
    uint64_t jwks_refresh_s;       /* between two fetches of published keys */
    uint64_t jwks_max_age_s;       /* of published keys that are still used */
    uint64_t jwks_min_interval_ms; /* between two fetches because of an unknown key */
    uint64_t jwks_timeout_ms;      /* of one fetch */
    size_t jwks_max_bytes;         /* of one fetched document */
    bool sql_request_id;           /* statements of scripts carry the request's id, unprepared */
    uint64_t topic_linger_ms;      /* how long a topic without subscribers keeps its ring */
} leat_limits;

#endif
