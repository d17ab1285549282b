/* fixture.h - a loop, and TCP connections over it whose other ends are plain non-blocking sockets.
 *
 * Ownership  fixture_setup makes everything, fixture_teardown checks that nothing is left.
 * Threads    one.
 * Units      milliseconds.
 * Errors     fail the test.
 */
#ifndef LEAT_SPEC_NET_FIXTURE_H
#define LEAT_SPEC_NET_FIXTURE_H

#include "net/conn.h"

/* One connection: what its owner saw, and the peer's end. */
typedef struct fixture_pair {
    struct fixture *f;
    leat_conn *conn; /* NULL once on_close ran */
    int peer;        /* -1 once closed */
    leat_buf got;    /* by on_read */
    leat_buf heard;  /* by the peer, in fixture_hear */
    bool peer_eof;
    int peer_errno; /* of the peer's last failed recv; 0 while none */
    int reads;
    int drains;
    int closes;
    int close_err;
    void (*during_read)(struct fixture_pair *p); /* run inside the callbacks; NULL: nothing */
    void (*during_drain)(struct fixture_pair *p);
} fixture_pair;

typedef struct fixture {
    uv_loop_t uv;
    uv_async_t alive; /* as a server's mailbox does, lets the loop run while nothing is polled */
    leat_loop *loop;
    leat_metrics_registry *registry;
    leat_metrics *metrics;
    leat_net net;
} fixture;

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* A connected pair. buffer: the sizes asked for the conn's send and the peer's receive buffer, 0
 * for the system's own. */
fixture_pair *fixture_connect(fixture *f, int buffer);

/* Frees a pair whose conn is closed. */
void fixture_release(fixture_pair *p);

/* Lets the conn close and then releases the pair. */
void fixture_end(fixture_pair *p);

/* One turn of the loop, without waiting. */
void fixture_turn(fixture *f);

/* Turns until done(p) or five seconds have passed, which fails. */
void fixture_until(fixture_pair *p, bool (*done)(const fixture_pair *p));

/* The peer receives what there is. Returns how many bytes. */
size_t fixture_hear(fixture_pair *p);

/* The peer sends all of the text. */
void fixture_say(fixture_pair *p, const char *text);
void fixture_hang_up(fixture_pair *p);

/* Makes the peer's end close by RST. */
void fixture_reset(fixture_pair *p);

bool fixture_closed(const fixture_pair *p);
bool fixture_drained(const fixture_pair *p);
bool fixture_got_some(const fixture_pair *p);

int64_t fixture_send_buffer(const fixture *f);
leat_event *fixture_event(const char *frame);

#endif
