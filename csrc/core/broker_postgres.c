/* broker_postgres.c - the listener's notifications, parsed.
 *
 * on_up and on_down pass the listener's state on; on_notify parses a payload as leat.publish's
 * trigger wrote it (config/schema) and drops, with a warning, what is not of that form: anyone may
 * NOTIFY on any channel.
 */
#include "core/broker_postgres.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

typedef struct broker_postgres {
    leat_broker broker; /* first: a leat_broker is one of these */
    leat_pg_listener_options options;
    leat_pg_listener *listener;
    leat_buf heard; /* the last entry that was announced, as leat.attend takes it */
    leat_broker_handler handler;
    void *arg;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
} broker_postgres;

static void on_up(void *arg, const char *timeline);
static void on_down(void *arg, int err);
static void on_notify(void *arg, const char *payload);
static void close_broker(leat_broker *b, void (*done)(void *arg), void *arg);

/* A server has seen what it was told the last time, with the newest entry of then, and the entry
 * that was announced last. */
static const char attend_sql[] =
    "select a.timeline, jsonb_build_object('fingerprint', a.fingerprint, 'history', a.history,"
    " 'anchor', jsonb_build_object('topic', a.anchor_topic, 'epoch', a.anchor_epoch,"
    "  'seq', a.anchor_seq, 'at', a.anchor_at))::text"
    " from (select $1::jsonb as told, $2::jsonb as heard) seen"
    " cross join leat.attend(told ->> 'fingerprint', told ->> 'history',"
    "  jsonb_build_array(told -> 'anchor', heard)) a";

static const leat_pg_listener_handler listener_handler = {on_up, on_down, on_notify};

int leat_broker_postgres_new(leat_broker **out, leat_loop *loop, leat_metrics *metrics,
                             const leat_pg_listener_options *options,
                             const leat_broker_handler *handler, void *arg)
{
    broker_postgres *b = leat_calloc(1, sizeof(*b));
    b->broker.close = close_broker;
    b->options = *options;
    b->options.up_sql = attend_sql;
    b->options.word = &b->heard;
    b->handler = *handler;
    b->arg = arg;
    int err = leat_pg_listener_new(&b->listener, loop, metrics, &b->options, &listener_handler, b);
    if (err < 0) {
        free(b);
        return err;
    }
    *out = &b->broker;
    return 0;
}

/* Cuts the next field off *rest; false if no newline ends it. */
static bool cut_field(leat_slice *rest, leat_slice *field)
{
    const char *end = memchr(rest->at, '\n', rest->len);
    if (end == NULL)
        return false;
    *field = (leat_slice){rest->at, (size_t)(end - rest->at)};
    *rest = (leat_slice){end + 1, rest->len - field->len - 1};
    return true;
}

static bool parse_number(leat_slice text, int64_t *out)
{
    if (text.len == 0 || text.len > 16)
        return false;
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        n = n * 10 + (text.at[i] - '0');
    }
    *out = n;
    return n <= LEAT_SEQ_MAX;
}

int leat_broker_postgres_parse(leat_announcement *out, leat_slice payload)
{
    leat_slice mac, kind, epoch, seq, at, topic;
    leat_slice rest = payload;
    leat_announcement a = {0};
    if (!cut_field(&rest, &mac) || !cut_field(&rest, &kind) || !cut_field(&rest, &epoch) ||
        !cut_field(&rest, &seq) || !cut_field(&rest, &at) || !cut_field(&rest, &topic) ||
        kind.len != 1 || !parse_number(seq, &a.seq) || !parse_number(at, &a.at))
        return LEAT_EBADMSG;
    if (kind.at[0] == 'h') {
        a.kind = LEAT_ANNOUNCE_HISTORY;
        *out = a;
        return 0;
    }
    if (!leat_v1_topic_ok(topic))
        return LEAT_EBADMSG;
    a.topic = topic;
    a.epoch = epoch;
    a.data = rest;
    switch (kind.at[0]) {
    case 'e':
        a.kind = LEAT_ANNOUNCE_EVENT;
        break;
    case 'E':
        a.kind = LEAT_ANNOUNCE_EVENT;
        a.data = (leat_slice){NULL, 0};
        break;
    case 'r':
        a.kind = LEAT_ANNOUNCE_REVOKE;
        break;
    case 's':
        a.kind = LEAT_ANNOUNCE_SIGNAL;
        break;
    case 'y':
        a.kind = LEAT_ANNOUNCE_RESYNC;
        break;
    default:
        return LEAT_EBADMSG;
    }
    bool stored = a.kind != LEAT_ANNOUNCE_SIGNAL;
    if (stored != (a.seq > 0) || (a.data.at != NULL && a.data.len == 0))
        return LEAT_EBADMSG;
    *out = a;
    return 0;
}

static void on_up(void *arg, const char *timeline)
{
    broker_postgres *b = arg;
    b->handler.on_up(b->arg, timeline);
}

static void on_down(void *arg, int err)
{
    broker_postgres *b = arg;
    (void)err; /* the listener has logged it */
    b->handler.on_down(b->arg);
}

static void remember(broker_postgres *b, const leat_announcement *a)
{
    b->heard.len = 0;
    leat_buf_text(&b->heard, "{\"topic\":");
    int err = leat_json_write_string(&b->heard, a->topic);
    leat_buf_text(&b->heard, ",\"epoch\":");
    if (err == 0)
        err = leat_json_write_string(&b->heard, a->epoch);
    leat_buf_printf(&b->heard, ",\"seq\":%" PRId64 ",\"at\":%" PRId64 "}", a->seq, a->at);
    if (err < 0)
        b->heard.len = 0;
}

static void on_notify(void *arg, const char *payload)
{
    broker_postgres *b = arg;
    leat_announcement a;
    if (leat_broker_postgres_parse(&a, leat_slice_of(payload)) < 0) {
        LEAT_LOG_WARN("broker", "notification ignored reason=malformed bytes=%zu", strlen(payload));
        return;
    }
    if (a.seq > 0)
        remember(b, &a);
    b->handler.on_announce(b->arg, &a);
}

static void on_listener_closed(void *arg)
{
    broker_postgres *b = arg;
    void (*done)(void *arg) = b->on_closed;
    void *done_arg = b->on_closed_arg;
    leat_buf_close(&b->heard);
    free(b);
    done(done_arg);
}

static void close_broker(leat_broker *broker, void (*done)(void *arg), void *arg)
{
    broker_postgres *b = (broker_postgres *)broker;
    b->on_closed = done;
    b->on_closed_arg = arg;
    leat_pg_listener_close(b->listener, on_listener_closed, b);
}
