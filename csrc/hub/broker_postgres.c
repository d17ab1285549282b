/* broker_postgres.c - the listener's notifications, checked and parsed.
 *
 * on_up, on_down and on_trouble pass the listener's state on. on_notify reads a payload as the
 * functions of schema leat write it. Every role may NOTIFY on every channel. So a payload that is
 * not of that form, or does not carry the MAC of its sender, is counted, and goes no further.
 */
#include "hub/broker_postgres.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { LOG_EVERY_MS = 10000 };

typedef struct broker_postgres {
    leat_broker broker;
    leat_loop *loop;
    leat_metrics *metrics;
    leat_pg_listener *listener;
    leat_announcement_seal *seal;
    bool trusting;    /* the seal's key was given since on_up, so it is the current one */
    uint64_t refused; /* announcements since the last log line about them */
    int sender_pid;   /* of the last of them */
    leat_deadline next_log;
    leat_broker_handler handler;
    void *arg;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
} broker_postgres;

static void on_up(void *arg);
static void on_down(void *arg, int err);
static void on_trouble(void *arg, const char *why);
static void on_notify(void *arg, const char *payload, int sender_pid);
static void on_next_log(leat_deadline *d);
static int trust(leat_broker *b, leat_slice key);
static void close_broker(leat_broker *b, void (*done)(void *arg), void *arg);

static const leat_pg_listener_handler listener_handler = {on_up, on_down, on_trouble, on_notify};

static void free_broker(broker_postgres *b)
{
    leat_announcement_seal_free(b->seal);
    free(b);
}

int leat_broker_postgres_new(leat_broker **out, leat_loop *loop, leat_metrics *metrics,
                             const leat_pg_listener_options *options,
                             const leat_broker_handler *handler, void *arg)
{
    broker_postgres *b = leat_calloc(1, sizeof(*b));
    b->broker.trust = trust;
    b->broker.close = close_broker;
    b->loop = loop;
    leat_deadline_init(&b->next_log);
    b->metrics = metrics;
    b->seal = leat_announcement_seal_new();
    b->handler = *handler;
    b->arg = arg;
    int err = leat_pg_listener_new(&b->listener, loop, metrics, options, &listener_handler, b);
    if (err < 0) {
        free_broker(b);
        return err;
    }
    *out = &b->broker;
    return 0;
}

static int trust(leat_broker *broker, leat_slice key)
{
    broker_postgres *b = LEAT_CONTAINER_OF(broker, broker_postgres, broker);
    int err = leat_announcement_seal_key(b->seal, key);
    if (err >= 0)
        b->trusting = true;
    return err;
}

static void on_up(void *arg)
{
    broker_postgres *b = arg;
    b->handler.on_up(b->arg);
}

static void on_down(void *arg, int err)
{
    broker_postgres *b = arg;
    (void)err; /* the listener has logged it */
    b->trusting = false;
    b->handler.on_down(b->arg);
}

static void on_trouble(void *arg, const char *why)
{
    broker_postgres *b = arg;
    b->handler.on_trouble(b->arg, why);
}

static void write_refused(broker_postgres *b)
{
    if (b->refused > 0)
        LEAT_LOG_WARN("broker", "announcements refused n=%" PRIu64 " sender_pid=%d", b->refused,
                      b->sender_pid);
    b->refused = 0;
}

static void log_refused(broker_postgres *b)
{
    write_refused(b);
    leat_loop_after(b->loop, &b->next_log, LOG_EVERY_MS, on_next_log);
}

static void on_next_log(leat_deadline *d)
{
    broker_postgres *b = LEAT_CONTAINER_OF(d, broker_postgres, next_log);
    if (b->refused > 0)
        log_refused(b);
}

/* Somebody may send very many: the first one is logged at once, and all that follow are counted in
 * one line every LOG_EVERY_MS. */
static void refuse_announcement(broker_postgres *b, int sender_pid)
{
    leat_metrics_add(b->metrics, LEAT_M_ANNOUNCEMENTS_REFUSED, 1);
    b->refused++;
    b->sender_pid = sender_pid;
    if (!leat_deadline_armed(&b->next_log))
        log_refused(b);
    b->handler.on_refused(b->arg);
}

static void on_notify(void *arg, const char *payload, int sender_pid)
{
    broker_postgres *b = arg;
    leat_slice text = leat_slice_of(payload);
    leat_announcement a;
    if (!b->trusting)
        return; /* counts as lost: the hub compares its topics after it has given the key */
    if (leat_announcement_parse(&a, text) == 0 &&
        leat_announcement_is_sealed(b->seal, text, sender_pid))
        b->handler.on_announce(b->arg, &a);
    else
        refuse_announcement(b, sender_pid);
}

static void on_listener_closed(void *arg)
{
    broker_postgres *b = arg;
    void (*done)(void *arg) = b->on_closed;
    void *done_arg = b->on_closed_arg;
    free_broker(b);
    done(done_arg);
}

static void close_broker(leat_broker *broker, void (*done)(void *arg), void *arg)
{
    broker_postgres *b = LEAT_CONTAINER_OF(broker, broker_postgres, broker);
    leat_deadline_cancel(&b->next_log);
    write_refused(b);
    b->on_closed = done;
    b->on_closed_arg = arg;
    leat_pg_listener_close(b->listener, on_listener_closed, b);
}
