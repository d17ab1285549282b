#include "fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void on_read(void *owner, char *bytes, size_t len)
{
    fixture_pair *p = owner;
    p->reads++;
    leat_buf_append(&p->got, bytes, len);
    if (p->during_read != NULL)
        p->during_read(p);
}

static void on_drain(void *owner)
{
    fixture_pair *p = owner;
    p->drains++;
    assert_int_equal(leat_conn_queued(p->conn), 0);
    if (p->during_drain != NULL)
        p->during_drain(p);
}

static void on_close(void *owner, int err)
{
    fixture_pair *p = owner;
    p->closes++;
    p->close_err = err;
    p->conn = NULL;
}

static const leat_conn_handler handler = {on_read, on_drain, on_close, NULL};

int fixture_setup(void **state)
{
    fixture *f = leat_calloc(1, sizeof(*f));
    assert_int_equal(uv_loop_init(&f->uv), 0);
    assert_int_equal(uv_async_init(&f->uv, &f->alive, NULL), 0);
    assert_int_equal(leat_loop_new(&f->loop, &f->uv), 0);
    f->registry = leat_metrics_registry_new();
    f->metrics = leat_metrics_new(f->registry);
    f->net = (leat_net){.loop = f->loop, .metrics = f->metrics};
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture *f = *state;
    assert_int_equal(fixture_send_buffer(f), 0);
    leat_loop_close(f->loop, NULL, NULL);
    uv_close((uv_handle_t *)&f->alive, NULL);
    uv_run(&f->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->uv), 0);
    leat_metrics_registry_free(f->registry);
    free(f);
    return 0;
}

static void set_buffer(int fd, int option, int size)
{
    if (size > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size)), 0);
}

/* Buffer sizes are set on the listening socket, from which the accepted one inherits them: later
 * the window would have been promised already. */
static void connect_sockets(int *ours, int *peer, int buffer, struct sockaddr_storage *far)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    socklen_t far_len = sizeof(*far);
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    set_buffer(listening, SO_SNDBUF, buffer);
    assert_int_equal(bind(listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&addr, &len), 0);
    *peer = socket(AF_INET, SOCK_STREAM, 0);
    set_buffer(*peer, SO_RCVBUF, buffer);
    assert_int_equal(connect(*peer, (struct sockaddr *)&addr, sizeof(addr)), 0);
    *ours = accept4(listening, (struct sockaddr *)far, &far_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(*ours >= 0);
    close(listening);
}

fixture_pair *fixture_connect(fixture *f, int buffer)
{
    fixture_pair *p = leat_calloc(1, sizeof(*p));
    int ours = -1;
    struct sockaddr_storage far = {0};
    connect_sockets(&ours, &p->peer, buffer, &far);
    p->f = f;
    assert_int_equal(leat_conn_new(&p->conn, &f->net, ours, &far), 0);
    leat_conn_set_handler(p->conn, &handler, p);
    return p;
}

void fixture_release(fixture_pair *p)
{
    assert_null(p->conn);
    assert_int_equal(p->closes, 1);
    fixture_hang_up(p);
    leat_buf_close(&p->got);
    leat_buf_close(&p->heard);
    free(p);
}

void fixture_end(fixture_pair *p)
{
    if (p->conn != NULL)
        leat_conn_close(p->conn);
    fixture_until(p, fixture_closed);
    fixture_release(p);
}

void fixture_turn(fixture *f)
{
    uv_run(&f->uv, UV_RUN_NOWAIT);
}

void fixture_until(fixture_pair *p, bool (*done)(const fixture_pair *p))
{
    uint64_t limit_ns = uv_hrtime() + 5000000000u;
    while (!done(p)) {
        if (uv_hrtime() > limit_ns)
            fail_msg("waited for five seconds");
        fixture_turn(p->f);
        fixture_hear(p);
    }
}

size_t fixture_hear(fixture_pair *p)
{
    char bytes[16384];
    size_t total = 0;
    ssize_t n = 0;
    while (p->peer >= 0 && (n = recv(p->peer, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        leat_buf_append(&p->heard, bytes, (size_t)n);
        total += (size_t)n;
    }
    if (p->peer >= 0 && n == 0)
        p->peer_eof = true;
    if (n < 0 && errno != EAGAIN)
        p->peer_errno = errno;
    return total;
}

void fixture_say(fixture_pair *p, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(p->peer, text, len, MSG_NOSIGNAL), len);
}

void fixture_hang_up(fixture_pair *p)
{
    if (p->peer >= 0)
        close(p->peer);
    p->peer = -1;
}

void fixture_reset(fixture_pair *p)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(p->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    fixture_hang_up(p);
}

bool fixture_closed(const fixture_pair *p)
{
    return p->closes > 0;
}

bool fixture_drained(const fixture_pair *p)
{
    return p->drains > 0;
}

bool fixture_got_some(const fixture_pair *p)
{
    return p->got.len > 0;
}

int64_t fixture_send_buffer(const fixture *f)
{
    return leat_metrics_get(f->metrics, LEAT_M_SEND_BUFFER_BYTES);
}

leat_event *fixture_event(const char *frame)
{
    size_t len = strlen(frame);
    leat_event *e = leat_event_new(LEAT_EVENT_DATA, leat_slice_of("t"), 1, len, 0, 0, len);
    memcpy(leat_event_frame_room(e), frame, len);
    return e;
}
