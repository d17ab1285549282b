/* core_fixture.h - a worker's core whose edges are the test's: what comes over sockets, from
 * Postgres, from the hub and from the scripts, the test says; what goes there, it can look at.
 *
 * Between these edges everything is real: clients, subscriptions, topics, shares. Nothing is
 * answered before the test answers it.
 *
 * Ownership  core_fixture_open and _close, as cmocka's setup and teardown, own everything. _close
 *            fails the test if anything is left over: a read, a slot, a handler, a gauge.
 * Threads    the test's.
 * Units      milliseconds; seq.
 * Errors     fail the test.
 */
#ifndef LEAT_SPEC_CORE_FIXTURE_H
#define LEAT_SPEC_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/client.h"
#include "core/client_send.h"
#include "core/client_state.h"
#include "core/core_life.h"
#include "core/read.h"
#include "core/sub.h"
#include "core/sub_private.h"
#include "core/sub_table.h"
#include "core/subscribe.h"
#include "outbox/history.h"
#include "outbox/positions.h"
#include "wire/close_code.h"
#include "wire/leat_v1.h"

/* A socket. */
struct leat_conn {
    const leat_conn_handler *handler;
    void *owner;
    leat_buf sent; /* all of it, frames and all */
    int n_shared;  /* pieces of it that were sent by reference */
    size_t queued; /* as the client sees it */
    size_t read_size;
    unsigned unsent_limit; /* what the kernel may hold; 0: as much as it likes */
    bool blocked;          /* likewise */
    bool reading;          /* unless the client has stopped that */
    bool finished;         /* closed, or on its way there */
    uint64_t progress_ms;
};

/* A snapshot that is being read. */
struct leat_read {
    leat_list link;
    leat_grant *grant;
    leat_read_need need;
    uint64_t deadline_ms;
    leat_read_cb cb;
    void *arg;
};

/* A question to the outbox. */
struct leat_history {
    leat_list link;
    int64_t after;
    const leat_history_row *rows;
    leat_history_cb cb;
    void *arg;
};

typedef struct core_fixture {
    uv_loop_t uv;
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_core core;
    leat_script script;
    leat_session session; /* everybody's; counted references */
    char user_id;         /* the session's, once it has one (core_fixture_name_user) */
    int n_sessions;
    int n_grants;        /* in the core's hands */
    leat_call *call;     /* the handler that runs, or the last of them */
    int n_calls;         /* started */
    int n_running;       /* of them, neither answered nor cancelled */
    leat_list reads;     /* leat_read, oldest first */
    leat_list asks;      /* leat_position_ask */
    leat_list histories; /* leat_history */
    bool old_scripts;    /* every grant was made by scripts that have been replaced */
    bool hooked;         /* topics have an event hook */
    const char *share;   /* the key of grants made from now on; NULL: none */
    uint64_t wait_ms;    /* how long the pool says that a handshake waits */
    uint64_t now_ms;
    leat_conn conn;
    uint8_t window_bits; /* of the clients to come: they take compressed messages; 0: they do not */
    leat_client *client; /* NULL once it has gone */
} core_fixture;

void core_fixture_set_edges(core_fixture *f); /* NULL: the test is over */
int core_fixture_open(void **state);
int core_fixture_close(void **state);

/* The client. */
void core_fixture_connect(core_fixture *f, leat_transport transport);
void core_fixture_connect_with(core_fixture *f, const leat_codec *codec); /* of another protocol */
void core_fixture_say(core_fixture *f, const char *json); /* one message of the client */
void core_fixture_say_both(core_fixture *f, const char *first,
                           const char *second); /* in one read */
void core_fixture_gone(core_fixture *f);        /* its socket breaks */
void core_fixture_fill(core_fixture *f);        /* the socket takes nothing more */
void core_fixture_lag(core_fixture *f);   /* likewise; so little is queued that events may follow */
void core_fixture_drain(core_fixture *f); /* it has taken all */
bool core_fixture_was_sent(core_fixture *f, const char *text);
/* Exactly one message with that text was sent since the last look. */
void core_fixture_expect_sent(core_fixture *f, const char *text);
/* A close frame with that code was sent. */
void core_fixture_expect_close(core_fixture *f, int code);
void core_fixture_expect_silence(core_fixture *f);

/* The one subscription of the client, to "t"; NULL if there is none. */
leat_sub *core_fixture_sub(core_fixture *f);
void core_fixture_expect_state(core_fixture *f, sub_state state);
int64_t core_fixture_metric(core_fixture *f, leat_metric id);

/* The session has that user from now on. */
void core_fixture_name_user(core_fixture *f, char id);

/* The scripts. */
void core_fixture_allow(core_fixture *f);
void core_fixture_refuse(core_fixture *f, leat_code code, bool read_failed);

/* The hub. */
void core_fixture_arm(core_fixture *f);
void core_fixture_event(core_fixture *f, leat_event_kind kind, int64_t seq, const char *data);
void core_fixture_signal(core_fixture *f);
void core_fixture_conflating(core_fixture *f, const char *key, const char *data);
void core_fixture_reset(core_fixture *f, int reason);
leat_topic *core_fixture_topic(core_fixture *f);

/* Postgres. */
leat_read *core_fixture_read(core_fixture *f); /* the only one that runs */
void core_fixture_snapshot(core_fixture *f, const char *epoch, int64_t seq, int64_t revoked);
void core_fixture_stale(core_fixture *f, int64_t seq); /* a stale one, of epoch "e" */
void core_fixture_unread(core_fixture *f, leat_code code, bool read_failed);
/* The answer to the only one who asks whether the outbox leads on. */
void core_fixture_told(core_fixture *f, const leat_position_answer *answer);
/* What the outbox answers to the only question: one row, or none if row is NULL. */
void core_fixture_outbox(core_fixture *f, const leat_history_row *row);

/* Time passes; the loop has a round. */
void core_fixture_wait(core_fixture *f, uint64_t ms);
void core_fixture_round(core_fixture *f);

/* Brings the client's subscription into a state, by the shortest way. NEW and the states in which
 * nothing rests are set by hand. */
void core_fixture_reach(core_fixture *f, sub_state state);

#endif
