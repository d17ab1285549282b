/* gate.c - one line out, one byte in. */
#include "base/gate.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/log.h"

/* A test that has not answered by then has failed anyway. */
enum { WAIT_MS = 30000 };

/* Not one that others could reach: a test and its server share a pair of this machine. */
bool leat_gate_is_socket(int fd)
{
    struct sockaddr_storage own = {0}, peer = {0};
    socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 && own.ss_family == AF_UNIX &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0;
}

/* One line, whatever the text contains. */
static void append(leat_buf *out, leat_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_control = (unsigned char)c < ' ';
        leat_buf_char(out, (char)(!is_control ? c : c == '\n' ? LEAT_GATE_NEWLINE : ' '));
    }
}

static bool tell(int fd, const leat_buf *line)
{
    for (size_t at = 0; at < line->len;) {
        ssize_t n = send(fd, line->at + at, line->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        at += n < 0 ? 0 : (size_t)n;
    }
    return true;
}

static bool await_answer(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = 0;
    do {
        n = poll(&p, 1, WAIT_MS);
    } while (n < 0 && errno == EINTR);
    char answer = 0;
    return n > 0 && recv(fd, &answer, 1, 0) == 1;
}

void leat_gate_stop(leat_gate *gate, const char *point, leat_slice topic, const char *detail)
{
    if (gate == NULL || gate->fd == LEAT_GATE_NONE)
        return;
    leat_buf line = LEAT_BUF_INIT;
    leat_buf_printf(&line, "%s\t", point);
    append(&line, topic);
    leat_buf_char(&line, '\t');
    append(&line, leat_slice_of(detail));
    leat_buf_char(&line, '\n');
    if (!tell(gate->fd, &line) || !await_answer(gate->fd)) {
        LEAT_LOG_ERROR("gate", "no answer from the test point=%s", point);
        gate->fd = LEAT_GATE_NONE;
    }
    leat_buf_close(&line);
}
