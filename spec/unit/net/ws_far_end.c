#include "ws_far_end.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int ws_far_end_open(ws_far_end *e, void (*turn)(void *arg), void *arg)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *e = (ws_far_end){.fd = fds[1], .turn = turn, .arg = arg};
    return fds[0];
}

void ws_far_end_hang_up(ws_far_end *e)
{
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

void ws_far_end_close(ws_far_end *e)
{
    ws_far_end_hang_up(e);
    leat_buf_close(&e->heard);
}

void ws_far_end_write(leat_buf *out, int flags, int op, const char *payload, size_t len)
{
    leat_buf_char(out, (char)(flags | op));
    if (len < 126) {
        leat_buf_char(out, (char)(0x80 | len));
    } else {
        leat_buf_char(out, (char)(0x80 | 126));
        leat_buf_char(out, (char)(len >> 8));
        leat_buf_char(out, (char)len);
    }
    leat_buf_append(out, "\x01\x02\x03\x04", 4);
    for (size_t i = 0; i < len; i++)
        leat_buf_char(out, (char)(payload[i] ^ (char)(i % 4 + 1)));
}

void ws_far_end_say_bytes(ws_far_end *e, const char *bytes, size_t len)
{
    assert_int_equal(send(e->fd, bytes, len, MSG_NOSIGNAL), len);
}

void ws_far_end_say(ws_far_end *e, int op, const char *payload, size_t len)
{
    leat_buf b = LEAT_BUF_INIT;
    ws_far_end_write(&b, 0x80, op, payload, len);
    ws_far_end_say_bytes(e, b.at, b.len);
    leat_buf_close(&b);
}

void ws_far_end_say_text(ws_far_end *e, const char *text)
{
    ws_far_end_say(e, LEAT_FRAME_TEXT, text, strlen(text));
}

void ws_far_end_hear(ws_far_end *e)
{
    e->turn(e->arg);
    while (e->fd >= 0) {
        ssize_t n = recv(e->fd, leat_buf_reserve(&e->heard, 65536), 65536, 0);
        if (n <= 0) {
            e->eof = e->eof || n == 0;
            return;
        }
        e->heard.len += (size_t)n;
    }
}

uint64_t ws_far_end_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void ws_far_end_expect(ws_far_end *e, const char *bytes, size_t len)
{
    WS_FAR_END_UNTIL(e, e->heard.len >= len);
    assert_int_equal(e->heard.len, len);
    assert_memory_equal(e->heard.at, bytes, len);
    e->heard.len = 0;
}

void ws_far_end_expect_text(ws_far_end *e, const char *text)
{
    leat_buf b = LEAT_BUF_INIT;
    leat_frame_write(&b, LEAT_FRAME_TEXT, leat_slice_of(text));
    ws_far_end_expect(e, b.at, b.len);
    leat_buf_close(&b);
}

void ws_far_end_expect_close(ws_far_end *e, int code, const char *reason)
{
    leat_buf b = LEAT_BUF_INIT;
    leat_frame_write_close(&b, code, reason);
    ws_far_end_expect(e, b.at, b.len);
    leat_buf_close(&b);
}
