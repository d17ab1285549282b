/* top.c - a frame is made of two samples: rates come from the differences of what only grows. The
 * terminal is driven by the escape sequences of ECMA-48 alone, which every terminal knows. */
#include "app/top.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "app/operator.h"
#include "app/render.h"
#include "app/tree.h"

enum {
    USUAL_INTERVAL_MS = 2000,
    LEAST_INTERVAL_MS = 100,
    TIMEOUT_MS = 8000,
    HEAD_LINES = 14, /* all but the topics */
    USUAL_LINES = 24,
    USUAL_COLUMNS = 80,
};

#define ALTERNATE_SCREEN "\033[?1049h\033[?25l"
#define USUAL_SCREEN "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define REST_OF_LINE "\033[K"
#define REST_OF_SCREEN "\033[J"

struct sample {
    leat_value *summary;
    leat_value *topics;
    leat_value *clients;
};

struct top {
    const char *socket;
    bool screen; /* frames replace each other */
    struct winsize size;
    struct sample now, before;
};

/* --- samples --- */

static leat_value *ask(const struct top *t, const char *target, leat_buf *error)
{
    leat_buf answer = LEAT_BUF_INIT;
    leat_operator_request request = {
        .socket = t->socket, .method = "GET", .target = target, .timeout_ms = TIMEOUT_MS};
    leat_value *v = leat_operator_send(&request, &answer, error) == 0
                        ? leat_tree_parse(leat_buf_view(&answer))
                        : NULL;
    leat_buf_close(&answer);
    return v;
}

static void free_sample(struct sample *s)
{
    leat_tree_free(s->summary);
    leat_tree_free(s->topics);
    leat_tree_free(s->clients);
    *s = (struct sample){NULL, NULL, NULL};
}

static bool take_sample(struct top *t, leat_buf *error)
{
    char target[64];
    int rows = t->size.ws_row > HEAD_LINES + 1 ? t->size.ws_row - HEAD_LINES : 1;
    free_sample(&t->before);
    t->before = t->now;
    t->now = (struct sample){NULL, NULL, NULL};
    snprintf(target, sizeof(target), "/topics?limit=%d", rows);
    t->now.summary = ask(t, "/summary", error);
    if (t->now.summary != NULL)
        t->now.topics = ask(t, target, error);
    if (t->now.topics != NULL)
        t->now.clients = ask(t, "/clients?by=queued&limit=3", error);
    return t->now.clients != NULL;
}

static double seconds_between(const struct top *t)
{
    double ms =
        leat_tree_number(t->now.summary, "at_ms") - leat_tree_number(t->before.summary, "at_ms");
    return ms > 0 ? ms / 1000 : 1;
}

/* A server that was started anew counts from 0. */
static double rate(const struct top *t, const char *name)
{
    double growth =
        leat_tree_number(t->now.summary, name) - leat_tree_number(t->before.summary, name);
    return growth > 0 && t->before.summary != NULL ? growth / seconds_between(t) : 0;
}

static double now(const struct top *t, const char *name)
{
    return leat_tree_number(t->now.summary, name);
}

/* --- the frame --- */

static void write_amount(leat_buf *out, const struct top *t, const char *name)
{
    leat_render_number(out, name, now(t, name));
}

static void write_head(leat_buf *out, const struct top *t)
{
    leat_buf_printf(out, "leat %s  %s  pid %s  up ", leat_tree_text(t->now.summary, "version"),
                    leat_tree_text(t->now.summary, "state"), leat_tree_text(t->now.summary, "pid"));
    write_amount(out, t, "uptime_s");
    leat_buf_text(out, "  memory ");
    write_amount(out, t, "resident_bytes");
    leat_buf_char(out, '\n');
    const leat_value *problems = leat_tree_member(t->now.summary, "problems");
    const leat_value *silent = leat_tree_member(t->now.summary, "silent");
    for (const leat_value *p = problems == NULL ? NULL : problems->first; p != NULL; p = p->next) {
        leat_buf_text(out, "problem: ");
        leat_render_text(out, p->text);
        leat_buf_char(out, '\n');
    }
    for (const leat_value *w = silent == NULL ? NULL : silent->first; w != NULL; w = w->next)
        leat_buf_printf(out, "problem: worker %s does not answer\n", w->text);
}

static void write_flow(leat_buf *out, const struct top *t)
{
    leat_buf_printf(out, "events in     %10.1f/s   deliveries %12.1f/s   snapshots %9.1f/s\n",
                    rate(t, "events_total"), rate(t, "deliveries_total"),
                    rate(t, "snapshots_total"));
    leat_buf_printf(out, "connections   %10.0f     subscriptions %9.0f     topics %12.0f\n",
                    now(t, "connections"), now(t, "subscriptions"), now(t, "topics"));
    leat_buf_printf(out,
                    "handshakes    %10.1f/s   under way %13.0f     refused %9.1f/s  late %.1f/s\n",
                    rate(t, "handshakes_total"), now(t, "handshakes_under_way"),
                    rate(t, "handshakes_refused_total"), rate(t, "handshakes_late_total"));
    leat_buf_printf(out, "pool          %6.0f busy     idle %18.0f     waiters %11.0f\n",
                    now(t, "pool_busy"), now(t, "pool_idle"), now(t, "pool_waiters"));
}

static void write_memory(leat_buf *out, const struct top *t)
{
    static const struct {
        const char *title, *name;
    } kinds[] = {{"rings ", "ring_bytes"},
                 {"  unsent ", "send_buffer_bytes"},
                 {"  received ", "received_bytes"},
                 {"  scripts ", "script_bytes"}};
    leat_buf_text(out, "memory        ");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        leat_buf_text(out, kinds[i].title);
        write_amount(out, t, kinds[i].name);
    }
    leat_buf_printf(out,
                    "\nerrors        scripts %.1f/s  unavailable %.1f/s  shed %.1f/s  slow clients "
                    "closed %.1f/s\n",
                    rate(t, "script_errors_total"), rate(t, "handshakes_unavailable_total"),
                    rate(t, "handshakes_shed_total"), rate(t, "slow_clients_closed_total"));
}

static void write_topics(leat_buf *out, const struct top *t)
{
    const leat_value *topics = leat_tree_member(t->now.topics, "topics");
    leat_buf_printf(out, "\n%10s  %11s  %12s  %12s  TOPIC\n", "EVENTS/S", "SUBSCRIBERS", "HEAD",
                    "RING");
    for (const leat_value *row = topics == NULL ? NULL : topics->first; row != NULL;
         row = row->next) {
        leat_buf ring = LEAT_BUF_INIT;
        leat_render_number(&ring, "ring_bytes", leat_tree_number(row, "ring_bytes"));
        leat_buf_printf(out, "%10.1f  %11.0f  %12.0f  %12.*s  %s\n",
                        leat_tree_number(row, "events_per_s"), leat_tree_number(row, "subscribers"),
                        leat_tree_number(row, "head"), (int)ring.len, ring.at,
                        leat_tree_text(row, "topic"));
        leat_buf_close(&ring);
    }
}

static void write_clients(leat_buf *out, const struct top *t)
{
    const leat_value *clients = leat_tree_member(t->now.clients, "clients");
    leat_buf_text(out, "\nslow clients: ");
    bool any = false;
    for (const leat_value *row = clients == NULL ? NULL : clients->first; row != NULL;
         row = row->next) {
        if (leat_tree_number(row, "queued_bytes") <= 0)
            continue;
        leat_buf_printf(out, "%s%s ", any ? ", " : "", leat_tree_text(row, "client"));
        leat_render_number(out, "queued_bytes", leat_tree_number(row, "queued_bytes"));
        any = true;
    }
    leat_buf_text(out, any ? "\n" : "none\n");
}

static void write_frame(leat_buf *out, const struct top *t)
{
    write_head(out, t);
    write_flow(out, t);
    write_memory(out, t);
    write_clients(out, t);
    write_topics(out, t);
}

/* Lines are cut at the window's edge, between characters. */
static void put_on_screen(leat_buf *out, const leat_buf *frame, const struct winsize *size)
{
    int row = 1, column = 0;
    leat_buf_text(out, HOME);
    for (size_t i = 0; i < frame->len && row < size->ws_row; i++) {
        char c = frame->at[i];
        if (c == '\n') {
            leat_buf_text(out, REST_OF_LINE "\r\n");
            row++;
            column = 0;
        } else {
            column += ((unsigned char)c & 0xc0) != 0x80;
            if (column <= size->ws_col)
                leat_buf_char(out, c);
        }
    }
    leat_buf_text(out, REST_OF_SCREEN);
}

static void draw(const struct top *t)
{
    leat_buf frame = LEAT_BUF_INIT, out = LEAT_BUF_INIT;
    write_frame(&frame, t);
    if (t->screen)
        put_on_screen(&out, &frame, &t->size);
    else
        leat_buf_slice(&out, leat_buf_view(&frame));
    fwrite(out.at, 1, out.len, stdout);
    fflush(stdout);
    leat_buf_close(&frame);
    leat_buf_close(&out);
}

/* --- the terminal --- */

static void look_at_size(struct top *t)
{
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &t->size) < 0 || t->size.ws_row == 0) {
        t->size.ws_row = USUAL_LINES;
        t->size.ws_col = USUAL_COLUMNS;
    }
}

/* Waits, or returns false once q was pressed or the input has ended. */
static bool wait_for_key(int ms, bool keys)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    int ready = poll(&in, keys ? 1 : 0, ms);
    if (ready <= 0)
        return true; /* the time is over, or the window has another size */
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3;
}

/* Keys come at once, and are not shown; Ctrl-C is a key, so that the screen is put right. */
static bool take_terminal(struct termios *old)
{
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, old) < 0)
        return false;
    struct termios raw = *old;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static int interval_of(const leat_options *options, leat_buf *error)
{
    char *end = NULL;
    double seconds = options->interval == NULL ? 0 : strtod(options->interval, &end);
    if (options->interval == NULL)
        return options->frames == 1 ? USUAL_INTERVAL_MS / 2 : USUAL_INTERVAL_MS;
    if (*end != '\0' || end == options->interval || !(seconds > 0) || seconds > 3600) {
        leat_buf_text(error, "--interval: expected seconds, above 0 and up to 3600");
        return LEAT_ECONFIG;
    }
    int ms = (int)(seconds * 1000);
    return ms < LEAST_INTERVAL_MS ? LEAST_INTERVAL_MS : ms;
}

static int watch(struct top *t, int interval_ms, bool once, leat_buf *error)
{
    bool keys = false;
    struct termios old;
    look_at_size(t);
    if (!take_sample(t, error))
        return LEAT_ECLOSED;
    if (!once)
        keys = take_terminal(&old);
    if (t->screen)
        fputs(ALTERNATE_SCREEN, stdout);
    int err = 0;
    bool goes_on = true;
    if (!once)
        draw(t);
    while (goes_on && wait_for_key(interval_ms, keys)) {
        look_at_size(t);
        err = take_sample(t, error) ? 0 : LEAT_ECLOSED;
        if (err == 0)
            draw(t);
        goes_on = err == 0 && !once;
    }
    if (t->screen)
        fputs(USUAL_SCREEN, stdout);
    if (keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &old);
    return err;
}

/* Prints each answer to `summary` as it comes, one a line, for programs. */
static int print_summaries(const char *socket, int interval_ms, bool once, leat_buf *error)
{
    int err = 0;
    do {
        leat_buf answer = LEAT_BUF_INIT;
        leat_operator_request request = {
            .socket = socket, .method = "GET", .target = "/summary", .timeout_ms = TIMEOUT_MS};
        err = leat_operator_send(&request, &answer, error);
        if (err == 0)
            fwrite(answer.at, 1, answer.len, stdout);
        leat_buf_close(&answer);
    } while (err == 0 && fflush(stdout) == 0 && !once && wait_for_key(interval_ms, false));
    return err;
}

int leat_top(const leat_options *options, leat_buf *error)
{
    leat_buf socket = LEAT_BUF_INIT;
    int interval_ms = interval_of(options, error);
    if (interval_ms < 0)
        return interval_ms;
    leat_operator_path(&socket, options->control);
    struct top t = {.socket = socket.at, .screen = options->frames == 0 && isatty(STDOUT_FILENO)};
    bool once = options->frames == 1;
    int err = options->json ? print_summaries(socket.at, interval_ms, once, error)
                            : watch(&t, interval_ms, once, error);
    free_sample(&t.now);
    free_sample(&t.before);
    leat_buf_close(&socket);
    return err;
}
