/* hub_private.h - what the hub's files share: the hub and its topics.
 *
 * Ownership  the hub owns its topics; a topic lives while a link is interested in it.
 * Threads    the hub's thread.
 * Units      seq; bytes; milliseconds.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_PRIVATE_H
#define LEAT_HUB_HUB_PRIVATE_H

#include "base/backoff.h"
#include "base/list.h"
#include "base/log_series.h"
#include "base/map.h"
#include "hub/broker.h"
#include "hub/hub.h"
#include "hub/hub_worker.h"
#include "mail/hub_mail.h"
#include "mail/worker_mail.h"
#include "outbox/history.h"
#include "wire/leat_v1.h"

/* A topic is not delivered from until some worker's read has told where it stands. */
#define LEAT_HUB_UNKNOWN (-1)

typedef struct hub_topic {
    leat_map_entry entry; /* in hub->topics; key points at name */
    leat_hub *hub;
    char *name;
    char *epoch;       /* as clients see it, of head and pending; NULL while there is neither */
    int64_t head;      /* last seq given to the workers, or LEAT_HUB_UNKNOWN */
    int64_t heard;     /* highest seq that anything spoke of */
    int64_t announced; /* highest seq that was announced: a topic's announcements come in order */
    int64_t revoked;   /* the last revocation that is known of this numbering */
    leat_event **pending; /* beyond head, sorted by seq */
    size_t n_pending;
    size_t cap_pending;
    size_t pending_bytes;
    leat_list interests;   /* hub_interest by topic_link */
    leat_list repair_link; /* on hub->wanting or hub->doubtful, or on none */
    bool gap;              /* a hole was seen that nobody announced as one */
    bool blind;    /* the running fetch was begun although nothing was known to be missing */
    bool fetching; /* the running fetch asks for it */
    bool unsure; /* something may have been missed that a fetch cannot be asked for just now: it is
                    asked for as soon as the head is known and no fetch runs for it */
    int64_t read_to;  /* up to here the outbox or a read was faster than the announcements... */
    uint64_t read_ms; /* ...at that time, and they are late but for a moment */
    bool disputed;    /* a number was announced twice: nothing is given but what the outbox says */
} hub_topic;

/* One worker's interest in one topic. */
typedef struct hub_interest {
    leat_list topic_link;
    leat_list worker_link;
    hub_topic *topic;
    hub_worker *worker;
    uint64_t generation;
    bool armed;  /* on_armed was sent */
    bool behind; /* events were left out, since too much waits for the worker already */
} hub_interest;

/* An entry of the log that this server knows of. */
typedef struct hub_anchor {
    char topic[LEAT_TOPIC_MAX];
    size_t topic_len; /* 0: none */
    char epoch[32];   /* without the timeline */
    size_t epoch_len;
    int64_t seq;
    int64_t at; /* 0: unknown, a read saw the topic there */
} hub_anchor;

enum { HUB_ANCHORS = 16 };

typedef struct hub_anchors {
    hub_anchor newest; /* of those that were announced, or told by leat_internal.attend */
    hub_anchor others[HUB_ANCHORS]; /* the latest ones that came by another way */
    size_t next;                    /* which of them is overwritten next */
} hub_anchors;

typedef enum hub_phase {
    HUB_DOWN,      /* the broker is not connected */
    HUB_ATTENDING, /* it is, but the history is not confirmed: nothing is armed, heard or fetched */
    HUB_READY,
} hub_phase;

typedef struct hub_attend {
    leat_deadline later; /* the next one: after a failure, or because the last one was just now */
    leat_pg_job job;
    leat_backoff backoff;
    leat_log_series failures;
    uint64_t begun_ms; /* the last one */
    bool again;        /* asked for while one was under way */
} hub_attend;

typedef struct hub_watch {
    leat_deadline next;
    leat_pg_job job;
    leat_buf known; /* the problems that were logged, one behind the other */
} hub_watch;

struct leat_hub {
    leat_hub_options options;
    leat_metrics *metrics;
    uv_loop_t uv;
    leat_loop *loop;
    uv_thread_t thread;
    bool started; /* there is a thread, whose loop leat_hub_stop ends */
    leat_mailbox *mailbox;
    leat_pg_pool *pool;
    leat_broker *broker;
    hub_phase phase;
    hub_attend attend;
    hub_anchors anchors;
    hub_watch watch;
    char timeline[9]; /* as leat_internal.attend said last; "" before */
    char history[9];
    char *fingerprint;                  /* NULL before */
    uv_mutex_t health_lock;             /* of the two below: any thread may ask */
    hub_phase told_phase;               /* the phase */
    char troubles[LEAT_HUB_PARTS][160]; /* "": none */
    leat_map topics;
    leat_list workers;   /* hub_worker by hub_link */
    leat_list wanting;   /* topics to be fetched for as soon as possible */
    leat_list doubtful;  /* topics that a read saw further than us: the announcement is probably
                            under way */
    leat_history *fetch; /* at most one at a time; NULL if none */
    leat_sweep repair;   /* starts it, once the turn has said all it wants */
    bool probing;        /* the outbox is to be read even if no topic is wanted */
    uint64_t probed_ms;
    leat_deadline retry; /* the next fetch after a failed one */
    leat_backoff fetch_backoff;
    leat_log_series fetch_failures;
    leat_deadline doubts; /* when doubtful topics become wanting */
    leat_deadline compare;
    leat_deadline trim;
    leat_pg_job trim_job;
};

/* hub.c. text: why, or NULL if all is well again. */
void hub_set_phase(leat_hub *h, hub_phase phase);
void hub_set_trouble(leat_hub *h, leat_hub_part part, const char *text);

/* hub_attend.c */
void hub_attend_init(leat_hub *h);
void hub_attend_start(leat_hub *h); /* the broker is up */
void hub_attend_stop(leat_hub *h);  /* it is not */
/* The outbox refused a read, since the history is not confirmed: nothing goes on before it is. */
void hub_attend_unconfirmed(leat_hub *h);
/* Perhaps the history, or the key, is another one: look, at most once a second. */
void hub_attend_check(leat_hub *h);

/* hub_anchor.c. Epochs as clients see them, but for the announcement's. */
void hub_anchor_announced(hub_anchors *a, const leat_announcement *heard);
void hub_anchor_read(hub_anchors *a, leat_slice topic, leat_slice epoch, int64_t seq, int64_t at);
void hub_anchor_clear(hub_anchors *a);
void hub_anchor_write(const hub_anchors *a, leat_buf *json);

/* hub_topic.c */
void hub_topic_arm(leat_hub *h, hub_worker *w, leat_topic_life life);
void hub_topic_disarm(leat_hub *h, hub_worker *w, leat_topic_life life);
void hub_interest_free(hub_interest *i);
void hub_topic_confirm_all(leat_hub *h);
void hub_topic_catch_up(hub_worker *w);
void hub_topic_position(leat_hub *h, leat_slice name, const leat_named_position *at);
/* False if it may not be an anchor: a number of the topic was announced twice, and the outbox has
 * not said yet what is true. */
bool hub_topic_announce(leat_hub *h, const leat_announcement *a);
/* The outbox's own word on the topic: row by row, then the end of the topic's rows. */
void hub_topic_fetched(hub_topic *t, const leat_history_row *row);
void hub_topic_settle(hub_topic *t, const leat_history_row *last);
void hub_topic_reset_all(leat_hub *h, int reason);
hub_topic *hub_topic_find(leat_hub *h, leat_slice name); /* NULL if nobody is interested */

/* hub_repair.c */
void hub_repair_init(leat_hub *h);
void hub_repair_start(leat_hub *h);
void hub_repair_want(hub_topic *t);
void hub_repair_doubt(hub_topic *t);
void hub_repair_compare_all(leat_hub *h);
/* Reads the outbox even if no topic is wanted: it is known to be unreadable, or not yet known not
 * to be. At most once a second. */
void hub_repair_probe(leat_hub *h);
void hub_repair_stop(leat_hub *h);

/* hub_watch.c */
void hub_watch_init(leat_hub *h);
void hub_watch_start(leat_hub *h);
void hub_watch_stop(leat_hub *h);

/* hub_trim.c */
void hub_trim_init(leat_hub *h);
void hub_trim_start(leat_hub *h);
void hub_trim_stop(leat_hub *h);

#endif
