/* sdk.c - the program: sdk_new spawns it and tells it what there is; on_look tells it when the
 * server has another port; on_read cuts its output into lines, each of which goes to the viewer of
 * its client (sdk_view.c); on_exit notices its end.
 */
#include "sdk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sdk_view.h"
#include "server.h"

enum { LOOK_MS = 20, FIRST_NUMBER = 1000 };

struct sdk {
    torture *torture;
    uv_process_t process;
    uv_pipe_t input; /* the program's */
    uv_pipe_t output;
    uv_timer_t look;
    leat_buf in;
    int port;         /* that the program knows */
    unsigned handles; /* not yet closed */
    bool closing;
    unsigned n;
    viewer *viewers;
};

static void on_handle_closed(uv_handle_t *h)
{
    sdk *s = h->data;
    s->handles--;
}

static void close_handle(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_handle_closed);
}

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    sdk *s = process->data;
    if (!s->closing)
        torture_violation(s->torture, "the clients of the SDK ended with %" PRId64 ", signal %d",
                          status, signal);
    close_handle(&s->process);
    close_handle(&s->input);
    close_handle(&s->output);
    close_handle(&s->look);
}

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static void say(sdk *s, leat_buf *line)
{
    leat_buf_char(line, '\n');
    uv_write_t *w = malloc(sizeof(*w) + line->len);
    if (w == NULL)
        torture_die("out of memory");
    memcpy(w + 1, line->at, line->len);
    uv_buf_t buf = uv_buf_init((char *)(w + 1), (unsigned)line->len);
    leat_buf_close(line);
    if (uv_is_closing((uv_handle_t *)&s->input) ||
        uv_write(w, (uv_stream_t *)&s->input, &buf, 1, on_written) < 0)
        free(w);
}

static void take_line(sdk *s, leat_slice line)
{
    message m;
    if (!message_parse(&m, line) || m.id < 0 || m.id >= s->n)
        torture_die("the clients of the SDK wrote: %.*s", (int)line.len, line.at);
    sdk_view_take(&s->viewers[m.id], &m, line);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    sdk *s = h->data;
    *buf = uv_buf_init(leat_buf_reserve(&s->in, suggested), (unsigned)suggested);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    sdk *s = stream->data;
    (void)buf;
    if (n < 0)
        return; /* its exit tells more */
    size_t at = 0;
    s->in.len += (size_t)n;
    for (;;) {
        const char *end = s->in.len == at ? NULL : memchr(s->in.at + at, '\n', s->in.len - at);
        if (end == NULL)
            break;
        take_line(s, (leat_slice){s->in.at + at, (size_t)(end - s->in.at) - at});
        at = (size_t)(end - s->in.at) + 1;
    }
    leat_buf_consume(&s->in, at);
}

/* Every start of a server has another port. */
static void on_look(uv_timer_t *timer)
{
    sdk *s = timer->data;
    leat_buf line = LEAT_BUF_INIT;
    int port = server_port(s->torture->server);
    if (port == s->port)
        return;
    s->port = port;
    leat_buf_printf(&line, "{\"do\":\"port\",\"port\":%d}", port);
    say(s, &line);
}

static void spawn(sdk *s)
{
    char *args[] = {"sh", "-c", NULL, NULL};
    char command[600];
    uv_stdio_container_t pipes[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&s->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&s->output},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .file = "/bin/sh", .args = args, .stdio = pipes, .stdio_count = 3, .exit_cb = on_exit_of};
    snprintf(command, sizeof(command), "exec %s", s->torture->options.sdk);
    args[2] = command;
    uv_pipe_init(&s->torture->loop, &s->input, 0);
    uv_pipe_init(&s->torture->loop, &s->output, 0);
    int err = uv_spawn(&s->torture->loop, &s->process, &options);
    if (err < 0)
        torture_die("%s: %s", command, uv_strerror(err));
    s->handles = 4;
}

static void tell_all(sdk *s)
{
    const torture_options *o = &s->torture->options;
    leat_buf line = LEAT_BUF_INIT;
    s->port = server_port(s->torture->server);
    leat_buf_printf(&line,
                    "{\"do\":\"begin\",\"port\":%d,\"clients\":%u,\"users\":%d,\"seed\":%" PRIu64
                    ",\"cut\":%s,\"slow\":%s,\"topics\":[",
                    s->port, s->n, USERS, o->seed, o->faults[FAULT_CUT] ? "true" : "false",
                    o->faults[FAULT_SLOW] ? "true" : "false");
    for (int i = 0; i < TOPICS; i++)
        leat_buf_printf(&line, "%s\"%s\"", i == 0 ? "" : ",", topic_name(i));
    leat_buf_text(&line, "]}");
    say(s, &line);
}

sdk *sdk_new(torture *t)
{
    const torture_options *o = &t->options;
    if (o->sdk == NULL || o->sdk_clients == 0)
        return NULL;
    sdk *s = calloc(1, sizeof(*s));
    viewer *viewers = calloc(o->sdk_clients, sizeof(*viewers));
    if (s == NULL || viewers == NULL)
        torture_die("out of memory");
    s->torture = t;
    s->n = o->sdk_clients;
    s->viewers = viewers;
    for (unsigned i = 0; i < s->n; i++)
        viewer_init(&viewers[i], t, (int)(FIRST_NUMBER + i), (int)(i % USERS), NULL);
    spawn(s);
    uv_timer_init(&t->loop, &s->look);
    s->process.data = s->input.data = s->output.data = s->look.data = s;
    tell_all(s);
    uv_read_start((uv_stream_t *)&s->output, on_alloc, on_read);
    uv_timer_start(&s->look, on_look, LOOK_MS, LOOK_MS);
    return s;
}

void sdk_disturb(sdk *s, unsigned cut_percent, unsigned pause_percent, unsigned for_ms)
{
    leat_buf line = LEAT_BUF_INIT;
    if (s == NULL)
        return;
    leat_buf_printf(&line, "{\"do\":\"disturb\",\"cut\":%u,\"pause\":%u,\"for_ms\":%u}",
                    cut_percent, pause_percent, for_ms);
    say(s, &line);
}

void sdk_rest(sdk *s)
{
    leat_buf line = LEAT_BUF_INIT;
    if (s == NULL)
        return;
    leat_buf_text(&line, "{\"do\":\"rest\"}");
    say(s, &line);
}

bool sdk_settled(sdk *s, bool report)
{
    bool settled = true;
    for (unsigned i = 0; s != NULL && i < s->n; i++)
        if (!sdk_view_settled(&s->viewers[i], report))
            settled = false;
    return settled;
}

unsigned sdk_live(const sdk *s)
{
    unsigned n = 0;
    for (unsigned i = 0; s != NULL && i < s->n; i++)
        n += viewer_live(&s->viewers[i]);
    return n;
}

/* The program ends at the end of its input, and its connections with it. */
void sdk_close(sdk *s)
{
    if (s == NULL)
        return;
    s->closing = true;
    close_handle(&s->input);
}

bool sdk_gone(const sdk *s)
{
    return s == NULL || s->handles == 0;
}

void sdk_free(sdk *s)
{
    if (s == NULL)
        return;
    leat_buf_close(&s->in);
    free(s->viewers);
    free(s);
}
