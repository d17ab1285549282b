/* core_fixture.c - the worker, its one client, and the shortest way to each state.
 */
#include "core_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/leat_v1.h"

enum { TIMEOUT_MS = 5000 };

/* ---- The worker. ---- */

int core_fixture_open(void **state)
{
    core_fixture *f = leat_calloc(1, sizeof(*f));
    assert_int_equal(0, uv_loop_init(&f->uv));
    assert_int_equal(0, leat_loop_new(&f->core.loop, &f->uv));
    f->limits = (leat_limits){
        .control_timeout_ms = TIMEOUT_MS,
        .max_timeout_ms = TIMEOUT_MS,
        .allowance = {.max_subscriptions = 10,
                      .max_subscriptions_per_user = 10,
                      .max_handshakes_per_user = 10},
        .max_handshakes = 10,
        .retry_after_min_ms = 100,
        .retry_after_max_ms = 20000,
        .first_message_timeout_ms = 600000,
        .idle_timeout_ms = 600000,
        .max_inflight = 4,
        .max_message_bytes = 65536,
        .max_message_values = 100,
        .max_snapshot_bytes = 1000,
        .max_send_buffer_bytes = 1000,
        .slow_client_timeout_ms = 60000,
        .ping_interval_ms = 60000,
        .pong_timeout_ms = 60000,
        .ring_events = 2,
        .ring_bytes = 65536,
        .max_event_bytes = 65536,
        .history_events = 10,
        .max_signal_backlog = 500,
        .kept_signal_bytes = 65536,
        .max_turns = 2,
    };
    f->registry = leat_metrics_registry_new();
    f->core.metrics = leat_metrics_new(f->registry);
    f->core.limits = &f->limits;
    core_fixture_set_edges(f);
    f->now_ms = leat_loop_now(f->core.loop);
    assert_int_equal(0, leat_core_start(&f->core));
    f->core.confirmed = true;
    *state = f;
    return 0;
}

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

static void expect_nothing_left(core_fixture *f)
{
    for (int m = LEAT_M_CONNECTIONS; m <= LEAT_M_TOPICS; m++)
        assert_int_equal(0, core_fixture_metric(f, (leat_metric)m));
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_SLOT_WAITERS));
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_RING_BYTES));
    assert_int_equal(0, core_fixture_metric(f, LEAT_M_KEPT_SIGNAL_BYTES));
    assert_int_equal(0, f->core.slots.n_taken);
    assert_int_equal(0, f->core.slots.n_repetitions);
    assert_int_equal(0, f->n_running);
    assert_int_equal(0, f->n_grants);
    assert_int_equal(0, f->n_sessions);
    assert_true(leat_list_empty(&f->reads));
    assert_true(leat_list_empty(&f->asks));
    assert_true(leat_list_empty(&f->histories));
}

int core_fixture_close(void **state)
{
    core_fixture *f = *state;
    bool stopped = false;
    if (f->client != NULL)
        core_fixture_gone(f);
    leat_core_stop(&f->core, on_stopped, &stopped);
    assert_true(stopped);
    expect_nothing_left(f);
    leat_loop_close(f->core.loop, NULL, NULL);
    uv_run(&f->uv, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&f->uv));
    leat_metrics_registry_free(f->registry);
    free(f);
    core_fixture_set_edges(NULL);
    return 0;
}

void core_fixture_round(core_fixture *f)
{
    uint64_t now = leat_loop_now(f->core.loop); /* the test's clock is never behind the loop's */
    f->now_ms = now > f->now_ms ? now : f->now_ms;
    leat_deadline_queue_advance(leat_loop_deadlines(f->core.loop), f->now_ms);
    uv_run(&f->uv, UV_RUN_NOWAIT);
}

void core_fixture_wait(core_fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    core_fixture_round(f);
}

int64_t core_fixture_metric(core_fixture *f, leat_metric id)
{
    return leat_metrics_get(f->core.metrics, id);
}

/* ---- The client. ---- */

static void open_client(core_fixture *f, leat_transport transport, const leat_codec *codec)
{
    f->conn = (leat_conn){.reading = true};
    f->n_sessions++;
    leat_opening opening = {.conn = &f->conn, .window_bits = f->window_bits};
    f->client = leat_client_new(&f->core, &opening, transport, codec, &f->session);
}

void core_fixture_connect(core_fixture *f, leat_transport transport)
{
    open_client(f, transport, &leat_v1_codec);
}

void core_fixture_connect_with(core_fixture *f, const leat_codec *codec)
{
    open_client(f, LEAT_TRANSPORT_WS, codec);
}

static void write_message(leat_buf *out, const char *json)
{
    size_t len = strlen(json);
    assert_in_range(len, 0, UINT16_MAX);
    leat_buf_char(out, (char)0x81);
    if (len < 126) {
        leat_buf_char(out, (char)(0x80 | len));
    } else {
        leat_buf_char(out, (char)(0x80 | 126));
        leat_buf_char(out, (char)(len >> 8));
        leat_buf_char(out, (char)len);
    }
    leat_buf_append(out, "\0\0\0\0", 4); /* masked with zeros */
    leat_buf_text(out, json);
}

void core_fixture_say(core_fixture *f, const char *json)
{
    core_fixture_say_both(f, json, NULL);
}

void core_fixture_say_both(core_fixture *f, const char *first, const char *second)
{
    leat_buf frames = LEAT_BUF_INIT;
    write_message(&frames, first);
    if (second != NULL)
        write_message(&frames, second);
    f->conn.handler->on_read(f->conn.owner, frames.at, frames.len);
    leat_buf_close(&frames);
}

void core_fixture_gone(core_fixture *f)
{
    f->client = NULL;
    f->conn.handler->on_close(f->conn.owner, UV_EOF);
    leat_buf_close(&f->conn.sent);
}

void core_fixture_fill(core_fixture *f)
{
    f->conn.queued = f->limits.max_send_buffer_bytes;
    f->conn.blocked = true;
    leat_peer_sent(f->client->peer); /* as if the last message had filled it */
}

void core_fixture_lag(core_fixture *f)
{
    f->conn.queued = f->limits.max_signal_backlog;
    f->conn.blocked = true;
}

void core_fixture_drain(core_fixture *f)
{
    f->conn.queued = 0;
    f->conn.blocked = false;
    f->conn.handler->on_drain(f->conn.owner);
}

static int count_sent(core_fixture *f, const char *text)
{
    int n = 0;
    leat_buf_char(&f->conn.sent, '\0');
    f->conn.sent.len--;
    const char *end = f->conn.sent.at + f->conn.sent.len;
    for (const char *at = f->conn.sent.at; at < end; at++)
        n += (size_t)(end - at) >= strlen(text) && memcmp(at, text, strlen(text)) == 0;
    return n;
}

bool core_fixture_was_sent(core_fixture *f, const char *text)
{
    return count_sent(f, text) > 0;
}

void core_fixture_expect_sent(core_fixture *f, const char *text)
{
    assert_int_equal(1, count_sent(f, text));
    f->conn.sent.len = 0;
}

void core_fixture_expect_close(core_fixture *f, int code)
{
    const char bytes[] = {(char)(code >> 8), (char)code};
    const char *frame = f->conn.sent.at;
    const char *end = frame + f->conn.sent.len;
    while (frame != NULL && end - frame >= 4 &&
           ((unsigned char)frame[0] != 0x88 || memcmp(frame + 2, bytes, 2) != 0))
        frame++;
    assert_true(frame != NULL && end - frame >= 4);
}

void core_fixture_expect_silence(core_fixture *f)
{
    assert_int_equal(0, f->conn.sent.len);
}

leat_sub *core_fixture_sub(core_fixture *f)
{
    return leat_sub_find(&f->client->base, leat_slice_of("t"));
}

void core_fixture_expect_state(core_fixture *f, sub_state state)
{
    const leat_sub *s = core_fixture_sub(f);
    assert_string_equal(sub_traits[state].name, s == NULL ? "CLOSED" : sub_traits[s->state].name);
}

/* ---- The hub's mail. ---- */

leat_topic *core_fixture_topic(core_fixture *f)
{
    return LEAT_CONTAINER_OF(leat_map_get(&f->core.topics, leat_slice_of("t")), leat_topic,
                             ring.entry);
}

static leat_topic_life life(core_fixture *f)
{
    return (leat_topic_life){leat_slice_of("t"), core_fixture_topic(f)->ring.generation};
}

void core_fixture_arm(core_fixture *f)
{
    leat_topic_on_armed(&f->core, life(f));
}

void core_fixture_event(core_fixture *f, leat_event_kind kind, int64_t seq, const char *data)
{
    leat_topic_on_event(&f->core, life(f).generation,
                        leat_v1_event(kind, leat_slice_of("t"), seq, leat_slice_of(data)));
    core_fixture_round(f);
}

void core_fixture_signal(core_fixture *f)
{
    leat_topic_on_signal(
        &f->core, life(f).generation,
        leat_v1_event(LEAT_EVENT_SIGNAL, leat_slice_of("t"), 0, leat_slice_of("1")));
}

void core_fixture_conflating(core_fixture *f, const char *key, const char *data)
{
    leat_topic_on_signal(
        &f->core, life(f).generation,
        leat_v1_conflating(leat_slice_of("t"), leat_slice_of(key), leat_slice_of(data)));
}

void core_fixture_reset(core_fixture *f, int reason)
{
    leat_topic_on_reset(&f->core, life(f), reason);
}

/* ---- The shortest way to each state. ---- */

static const char subscribe[] = "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\"}";

static void reach_reading(core_fixture *f)
{
    core_fixture_say(f, subscribe);
    core_fixture_allow(f);
    core_fixture_arm(f);
}

static void reach_live(core_fixture *f)
{
    reach_reading(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
}

/* The ring holds two events; the client reads none of four. */
static void reach_gap(core_fixture *f)
{
    core_fixture_fill(f);
    for (int seq = 11; seq <= 14; seq++)
        core_fixture_event(f, LEAT_EVENT_DATA, seq, "1");
    core_fixture_drain(f);
}

/* Another read was faster, or the hub. */
static void begin_at_10(core_fixture *f)
{
    leat_topic_on_begin(&f->core, life(f),
                        &(leat_named_position){leat_slice_of("e"), 10, LEAT_NEVER_REVOKED});
}

static void reach_replaying(core_fixture *f)
{
    reach_reading(f);
    begin_at_10(f);
    core_fixture_event(f, LEAT_EVENT_DATA, 11, "1");
    core_fixture_fill(f);
    core_fixture_snapshot(f, "e", 10, LEAT_NEVER_REVOKED);
}

/* Two others have all the slots. */
static void take_all_slots(core_fixture *f)
{
    f->core.slots.most = 0;
}

static void reach_first(core_fixture *f, sub_state state)
{
    switch (state) {
    case SUB_AUTHORIZING:
        core_fixture_say(f, subscribe);
        return;
    case SUB_ARMING:
        core_fixture_say(f, subscribe);
        core_fixture_allow(f);
        return;
    case SUB_RESUMING:
        core_fixture_say(f, "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"t\","
                            "\"since\":{\"epoch\":\"e\",\"seq\":7}}");
        core_fixture_allow(f);
        core_fixture_arm(f);
        return;
    case SUB_WAITING_NUMBERING:
        reach_reading(f);
        begin_at_10(f);
        core_fixture_snapshot(f, "another", 3, LEAT_NEVER_REVOKED);
        return;
    case SUB_REPLAYING:
        reach_replaying(f);
        return;
    case SUB_REPLAYING_OUTBOX:
        reach_replaying(f);
        core_fixture_event(f, LEAT_EVENT_DATA, 12, "1");
        core_fixture_event(f, LEAT_EVENT_DATA, 13, "1");
        core_fixture_drain(f);
        return;
    default:
        reach_reading(f);
    }
}

static void reach_later(core_fixture *f, sub_state state)
{
    reach_live(f);
    switch (state) {
    case SUB_CATCHING_UP:
        reach_gap(f);
        return;
    case SUB_WAITING_HANDLER_SLOT:
        take_all_slots(f);
        leat_sub_reauthorize_all(&f->client->base);
        return;
    case SUB_REAUTHORIZING:
        leat_sub_reauthorize_all(&f->client->base);
        return;
    case SUB_HELD:
        leat_sub_reauthorize_all(&f->client->base);
        core_fixture_refuse(f, LEAT_CODE_UNAVAILABLE, true);
        return;
    case SUB_PARKED:
        core_fixture_fill(f);
        core_fixture_reset(f, LEAT_RESET_HISTORY);
        return;
    case SUB_WAITING_READ_SLOT:
        take_all_slots(f);
        core_fixture_reset(f, LEAT_RESET_HISTORY);
        return;
    case SUB_REREADING:
        core_fixture_reset(f, LEAT_RESET_HISTORY);
        return;
    case SUB_WAITING_READ_RETRY:
        core_fixture_reset(f, LEAT_RESET_HISTORY);
        core_fixture_unread(f, LEAT_CODE_UNAVAILABLE, true);
        return;
    default:
        return;
    }
}

void core_fixture_reach(core_fixture *f, sub_state state)
{
    core_fixture_connect(f, LEAT_TRANSPORT_WS);
    if (state < SUB_LIVE)
        reach_first(f, state);
    else
        reach_later(f, state);
    core_fixture_expect_state(f, state);
    f->conn.sent.len = 0;
}
