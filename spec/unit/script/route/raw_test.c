/* app:websocket, with a real connection whose other end is a socket of the test's. */
#include "script_fixture.h"
#include "ws_far_end.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/route/raw_conn.h"

struct peer {
    script_fixture *f;
    ws_far_end far;
};

static void turn(void *arg)
{
    script_fixture_start_limit(arg); /* its tick ends a turn in which nothing else happens */
    (void)script_fixture_turn(arg);
}

static struct peer open_raw_with(script_fixture *f, leat_session *session, uint8_t window_bits,
                                 leat_slice rest)
{
    struct peer p = {.f = f};
    leat_conn *conn = NULL;
    int fd = ws_far_end_open(&p.far, turn, f);
    assert_int_equal(leat_conn_new(&conn, &f->core.net, fd, &(struct sockaddr_storage){0}), 0);
    leat_route_match m;
    leat_route_find(leat_lua_script(f->lua), leat_slice_of("GET"), leat_slice_of("/raw/7"), &m);
    assert_int_equal(m.kind, LEAT_ROUTE_WEBSOCKET);
    leat_http_request request = {.method = leat_slice_of("GET"),
                                 .path = leat_slice_of("/raw/7"),
                                 .query = leat_slice_of("token=t")};
    leat_opening opening = {.conn = conn, .window_bits = window_bits};
    leat_buf_slice(&opening.rest, rest);
    leat_lua_raw_open(leat_lua_script(f->lua), m.route, session, &opening, &request);
    assert_int_equal(leat_lua_raw_count(f->lua), 1);
    return p;
}

static struct peer open_raw(script_fixture *f)
{
    return open_raw_with(f, NULL, 0, (leat_slice){NULL, 0});
}

#define HEAR_UNTIL(p, condition) WS_FAR_END_UNTIL(&(p)->far, condition)

/* The peer hangs up, and nothing is left. */
static void end(struct peer *p)
{
    ws_far_end_hang_up(&p->far);
    SCRIPT_UNTIL(p->f, leat_lua_raw_count(p->f->lua) == 0);
    assert_int_equal(leat_metrics_get(p->f->metrics, LEAT_M_CONNECTIONS), 0);
    ws_far_end_close(&p->far);
}

static const char echo[] =
    "local log = {}\n"
    "app:websocket('/raw/{n:int}', {\n"
    "  open = function(conn) conn:send('open ' .. conn.request.params.n .. conn.request.token) "
    "end,\n"
    "  message = function(conn, data, kind)\n"
    "    if data == 'bye' then conn:close(4001, 'so long') return end\n"
    "    conn:send(data, kind) end,\n"
    "  close = function(conn, code, reason)\n"
    "    log[#log + 1] = { code, reason, (select(2, conn:send('x'))) } end })\n"
    "app:method('log', function() return log end)";

static void messages_are_echoed_in_order(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, echo);
    struct peer p = open_raw(f);
    ws_far_end_expect_text(&p.far, "open 7t");
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_CONNECTIONS), 1);

    ws_far_end_say_text(&p.far, "one");
    ws_far_end_say_text(&p.far, "");
    ws_far_end_say(&p.far, LEAT_FRAME_BINARY, "\xff\0", 2);
    ws_far_end_say(&p.far, LEAT_FRAME_PING, "p", 1);

    HEAR_UNTIL(&p, p.far.heard.len >= 5 + 2 + 4 + 3);
    assert_int_equal(p.far.heard.len, 14);
    assert_memory_equal(p.far.heard.at, "\x8a\x01p\x81\x03one\x81\x00\x82\x02\xff\x00", 14);
    p.far.heard.len = 0;
    end(&p);
    script_fixture_expect(f, "log", "[[1006,\"\",\"closed\"]]");
}

static void bytes_after_the_head_count(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, echo);

    struct peer p = open_raw_with(f, NULL, 0, (leat_slice){"\x81\x82\0\0\0\0hi", 8});

    HEAR_UNTIL(&p, p.far.heard.len >= 13);
    assert_memory_equal(p.far.heard.at, "\x81\x07open 7t\x81\x02hi", 13);
    end(&p);
}

static void the_peer_closes(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, echo);
    struct peer p = open_raw(f);
    ws_far_end_expect_text(&p.far, "open 7t");

    ws_far_end_say_text(&p.far, "last");
    ws_far_end_say(&p.far, LEAT_FRAME_CLOSE, "\x0f\xa1why", 5);

    HEAR_UNTIL(&p, p.far.eof);
    assert_int_equal(p.far.heard.len, 10);
    assert_memory_equal(p.far.heard.at, "\x81\x04last\x88\x02\x0f\xa1", 10);
    end(&p);
    script_fixture_expect(f, "log", "[[4001,\"why\",\"closed\"]]");
}

static void the_script_closes(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, echo);
    struct peer p = open_raw(f);
    ws_far_end_expect_text(&p.far, "open 7t");

    ws_far_end_say_text(&p.far, "bye");
    ws_far_end_expect_close(&p.far, 4001, "so long");
    ws_far_end_say_text(&p.far, "ignored");
    ws_far_end_say(&p.far, LEAT_FRAME_CLOSE, "\x0f\xa1", 2);

    HEAR_UNTIL(&p, p.far.eof);
    assert_int_equal(p.far.heard.len, 0);
    end(&p);
    script_fixture_expect(f, "log", "[[4001,\"\",\"closed\"]]");
}

static void a_close_that_is_not_answered_ends_all_the_same(void **state)
{
    script_fixture *f = *state;
    f->limits.close_timeout_ms = 50;
    script_fixture_load(f, echo);
    struct peer p = open_raw(f);
    ws_far_end_expect_text(&p.far, "open 7t");

    leat_lua_raw_close_all(f->lua, 1001, "drain");
    ws_far_end_expect_close(&p.far, 1001, "drain");

    HEAR_UNTIL(&p, leat_lua_raw_count(f->lua) == 0);
    end(&p);
    script_fixture_expect(f, "log", "[[1006,\"\",\"closed\"]]");
}

static void what_breaks_the_rules_is_closed(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, echo);
    struct peer p = open_raw(f);
    ws_far_end_expect_text(&p.far, "open 7t");

    ws_far_end_say(&p.far, LEAT_FRAME_TEXT, "\xff", 1);

    ws_far_end_expect_close(&p.far, 1007, "");
    HEAR_UNTIL(&p, p.far.eof);
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_PROTOCOL_ERRORS), 1);
    end(&p);
    script_fixture_expect(f, "log", "[[1007,\"\",\"closed\"]]");
}

static void a_silent_peer_is_pinged_and_given_up(void **state)
{
    script_fixture *f = *state;
    f->limits.ping_interval_ms = 30;
    f->limits.pong_timeout_ms = 30;
    script_fixture_load(f, echo);
    struct peer p = open_raw(f);
    ws_far_end_expect_text(&p.far, "open 7t");

    ws_far_end_expect(&p.far, "\x89\x00", 2);
    ws_far_end_say(&p.far, LEAT_FRAME_PONG, "", 0);
    ws_far_end_expect(&p.far, "\x89\x00", 2);
    HEAR_UNTIL(&p, p.far.eof);

    end(&p);
    script_fixture_expect(f, "log", "[[1006,\"\",\"closed\"]]");
}

static void sending_has_its_bounds(void **state)
{
    script_fixture *f = *state;
    f->limits.max_send_buffer_bytes = 3000;
    script_fixture_load(f, "log = false\n"
                           "app:websocket('/raw/{n}', { open = function(conn)\n"
                           "  local function why(...) return select(2, conn:send(...)) end\n"
                           "  local bad, large = why('\\xff'), why(('x'):rep(3001))\n"
                           "  local ok, sent, full = true, 0, nil\n"
                           "  while true do ok, full = conn:send(('x'):rep(2000), 'binary')\n"
                           "    if not ok then break end sent = sent + 1 end\n"
                           "  log = { bad, large, full, sent } end })\n"
                           "app:method('log', function() return log end)");
    struct peer p = open_raw(f);

    HEAR_UNTIL(&p, p.far.heard.len >= 2004);

    script_fixture_expect(f, "log", "[\"invalid UTF-8\",\"too large\",\"full\",1]");
    end(&p);
}

static void a_kept_conn_can_be_sent_to_from_elsewhere(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f,
                        "local conns, n = {}, 0\n"
                        "app:connect(function() return { id = 'ann' } end)\n"
                        "app:websocket('/raw/{n}', {\n"
                        "  open = function(conn) conns[conn] = conn.user.id end,\n"
                        "  close = function(conn) assert(conns[conn] == 'ann') n = n + 1 end })\n"
                        "app:method('send', function() for conn, id in pairs(conns) do\n"
                        "  return { conn:send('to ' .. id) } end end)\n"
                        "app:method('closed', function() return n end)");
    script_answer *c = script_fixture_connect(f, NULL);
    struct peer p =
        open_raw_with(f, script_fixture_ops(f)->session_ref(c->session), 0, (leat_slice){NULL, 0});

    script_fixture_expect(f, "send", "[true]");
    ws_far_end_expect_text(&p.far, "to ann");
    end(&p);
    script_answer *after = script_fixture_method(f, NULL, "send", NULL);

    assert_int_equal(after->code, LEAT_CODE_INTERNAL); /* { nil, "closed" } is no list */
    script_fixture_expect(f, "closed", "1");
    script_answer_free(c);
    script_answer_free(after);
}

static void an_open_that_fails_or_refuses_closes(void **state)
{
    script_fixture *f = *state;
    const char *bodies[] = {"error('x')", "return leat.deny('unauthenticated')",
                            "return leat.deny('forbidden')"};
    const int codes[] = {1011, 4401, 1008};
    const char *reasons[] = {"internal", "unauthenticated", "forbidden"};
    for (int i = 0; i < 3; i++) {
        leat_lua *before = f->lua;
        leat_buf body = LEAT_BUF_INIT;
        leat_buf_printf(&body, "app:websocket('/raw/{n}', { open = function() %s end })",
                        bodies[i]);
        leat_buf_char(&body, '\0');
        script_fixture_load(f, body.at);
        leat_buf_close(&body);
        if (before != NULL)
            leat_lua_retire(before, NULL, NULL);
        struct peer p = open_raw(f);
        ws_far_end_expect_close(&p.far, codes[i], reasons[i]);
        end(&p);
    }
}

static void an_error_in_message_ends_only_that_handler(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:websocket('/raw/{n}', { message = function(conn, data)\n"
                           "  if data == 'bad' then error('oops') end conn:send(data) end })");
    struct peer p = open_raw(f);

    ws_far_end_say_text(&p.far, "bad");
    ws_far_end_say_text(&p.far, "good");

    ws_far_end_expect_text(&p.far, "good");
    script_fixture_expect_logged(f, "script failed handler=websocket path=/raw/{n}");
    end(&p);
}

static void handlers_of_one_conn_run_one_at_a_time(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 2);
    script_fixture_load(f, "local running = 0\n"
                           "app:websocket('/raw/{n}', { message = function(conn, data)\n"
                           "  running = running + 1 assert(running == 1)\n"
                           "  conn.db:one('select pg_sleep($1::float8)', data)\n"
                           "  running = running - 1 conn:send(data) end })");
    struct peer p = open_raw(f);

    ws_far_end_say_text(&p.far, "0.05");
    script_fixture_run_for(f, 10);
    for (int i = 0; i < 10; i++)
        ws_far_end_say_text(&p.far, "0");
    ws_far_end_say(&p.far, LEAT_FRAME_CLOSE, "", 0);

    HEAR_UNTIL(&p, p.far.eof);
    assert_memory_equal(p.far.heard.at,
                        "\x81\x04"
                        "0.05\x81\x01"
                        "0\x81\x01"
                        "0",
                        12);
    end(&p);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_peer_that_goes_while_a_handler_waits_leaves_nothing(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    f->limits.control_timeout_ms = 100;
    script_fixture_load(f, "app:websocket('/raw/{n}', { message = function(conn, data)\n"
                           "  conn.db:one('select pg_sleep(60)') end })");
    struct peer p = open_raw(f);
    ws_far_end_say_text(&p.far, "x");
    ws_far_end_say_text(&p.far, "y");
    SCRIPT_UNTIL(f, leat_metrics_get(f->metrics, LEAT_M_POOL_BUSY) == 1);

    end(&p);

    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    script_fixture_expect_logged(f, "deadline passed handler=websocket");
}

/* What waits in the inbox of the only connection. */
static size_t inbox_bytes(const script_fixture *f)
{
    return LEAT_CONTAINER_OF(f->lua->raws.next, leat_raw, link)->inbox_bytes;
}

enum { LONG = 1000 };

static void write_compressed(leat_deflate *z, leat_buf *out, char letter)
{
    char text[LONG];
    memset(text, letter, sizeof(text));
    leat_buf frame = LEAT_BUF_INIT;
    assert_true(leat_deflate_frame(z, LEAT_FRAME_TEXT, (leat_slice){text, LONG}, 15, &frame));
    ws_far_end_write(out, 0x80 | LEAT_DEFLATE_RSV << 4, LEAT_FRAME_TEXT, frame.at + 2,
                     frame.len - 2);
    leat_buf_close(&frame);
}

/* The messages that were read at once are far longer once they are inflated. The first is in its
 * handler while those behind it are delivered. */
static void compressed_messages_wait_as_they_came(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    f->limits.max_message_bytes = LONG;
    f->core.net.deflate = leat_deflate_new(1, 0);
    script_fixture_load(f, "local seen = ''\n"
                           "app:websocket('/raw/{n}', { message = function(conn, data)\n"
                           "  if seen == '' then conn.db:one('select pg_sleep(0.1)') end\n"
                           "  assert(#data == 1000) seen = seen .. data:sub(1, 1) end })\n"
                           "app:method('seen', function() return seen end)");
    leat_buf frames = LEAT_BUF_INIT;
    for (char letter = 'a'; letter <= 'z'; letter++)
        write_compressed(f->core.net.deflate, &frames, letter);
    struct peer p = open_raw_with(f, NULL, 15, leat_buf_view(&frames));

    SCRIPT_UNTIL(f, inbox_bytes(f) > 0);
    script_fixture_run_for(f, 10);
    assert_int_equal(inbox_bytes(f), 2 * LONG);

    ws_far_end_say(&p.far, LEAT_FRAME_CLOSE, "", 0);
    HEAR_UNTIL(&p, p.far.eof);
    end(&p);
    script_fixture_expect(f, "seen", "\"abcdefghijklmnopqrstuvwxyz\"");
    leat_buf_close(&frames);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    leat_deflate_free(f->core.net.deflate);
    f->core.net.deflate = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(messages_are_echoed_in_order),
        TEST(bytes_after_the_head_count),
        TEST(the_peer_closes),
        TEST(the_script_closes),
        TEST(a_close_that_is_not_answered_ends_all_the_same),
        TEST(what_breaks_the_rules_is_closed),
        TEST(a_silent_peer_is_pinged_and_given_up),
        TEST(sending_has_its_bounds),
        TEST(a_kept_conn_can_be_sent_to_from_elsewhere),
        TEST(an_open_that_fails_or_refuses_closes),
        TEST(an_error_in_message_ends_only_that_handler),
        TEST(handlers_of_one_conn_run_one_at_a_time),
        TEST(a_peer_that_goes_while_a_handler_waits_leaves_nothing),
        TEST(compressed_messages_wait_as_they_came),
    };
    return cmocka_run_group_tests(tests, script_fixture_make_database,
                                  script_fixture_drop_database);
}
