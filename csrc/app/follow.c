/* follow.c - the stream is one of Server-Sent Events: on_piece cuts it into lines, on_line into
 * events, and show prints one. */
#include "app/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/operator.h"
#include "app/render.h"
#include "app/tree.h"
#include "base/mem.h"

enum { FIRST_WAIT_MS = 200, LAST_WAIT_MS = 3000, TIMEOUT_MS = 10000 };

struct tail {
    const char *topic;
    bool json;
    char *epoch; /* where it stands; NULL: nowhere yet */
    int64_t seq;
    enum {
        SILENT,    /* nothing has come on this connection */
        FOLLOWING, /* something has */
        SENT_AWAY, /* the server stops or is busy: it is asked again */
        ENDED,     /* by the server, for good */
    } state;
    leat_buf line;
    leat_buf op;
    leat_buf id;
    leat_buf data;
};

/* --- what is printed --- */

/* "EPOCH:SEQ", of which the epoch has no colon. */
static void note_position(struct tail *t)
{
    leat_buf_char(&t->id, '\0');
    char *colon = t->id.len > 1 ? strrchr(t->id.at, ':') : NULL;
    if (colon == NULL)
        return;
    free(t->epoch);
    t->epoch = leat_memdup(t->id.at, (size_t)(colon - t->id.at));
    t->seq = strtoll(colon + 1, NULL, 10);
}

static void say(const struct tail *t, const char *what)
{
    fprintf(stderr, "leat: %s", what);
    if (t->epoch != NULL)
        fprintf(stderr, " (%s:%" PRId64 ")", t->epoch, t->seq);
    fputc('\n', stderr);
}

static bool is(const leat_buf *b, const char *text)
{
    return leat_slice_is(leat_buf_view(b), text);
}

static void print_line(leat_slice json)
{
    leat_buf line = LEAT_BUF_INIT;
    leat_render_json(&line, json);
    leat_buf_char(&line, '\n');
    fwrite(line.at, 1, line.len, stdout);
    leat_buf_close(&line);
}

static void print_data(const struct tail *t, const leat_value *message)
{
    const leat_value *data = leat_tree_member(message, "data");
    leat_slice raw = leat_tree_raw(leat_buf_view(&t->data), "data");
    if (is(&t->op, "signal"))
        printf("signal ");
    else
        printf("%s:%" PRId64 " ", t->epoch, t->seq);
    print_line(data == NULL ? (leat_slice){NULL, 0} : raw);
}

/* The whole message, with the position of the event. */
static void print_json(const struct tail *t)
{
    printf("{");
    if (t->epoch != NULL && !is(&t->op, "signal"))
        printf("\"position\":\"%s:%" PRId64 "\",", t->epoch, t->seq);
    print_line((leat_slice){t->data.at + 1, t->data.len - 1});
}

static void tell_start(const struct tail *t, bool had_position)
{
    if (is(&t->op, "snapshot"))
        say(t, had_position
                   ? "events are missing: the server no longer has them; going on at the head"
                   : "following from here");
}

/* The server has ended the stream. */
static void tell_end(struct tail *t, const leat_value *message)
{
    const char *code = leat_tree_text(message, "code");
    bool passes = strcmp(code, "unavailable") == 0 || strcmp(code, "deadline_exceeded") == 0 ||
                  strcmp(code, "limit") == 0;
    t->state = passes ? SENT_AWAY : ENDED;
    fprintf(stderr, "leat: the server ended the subscription: %s\n",
            leat_tree_text(message, "message"));
}

/* One message of the stream. */
static void show(struct tail *t)
{
    bool had_position = t->epoch != NULL;
    leat_value *message = leat_tree_parse(leat_buf_view(&t->data));
    note_position(t);
    t->state = FOLLOWING;
    if (is(&t->op, "closed") || is(&t->op, "error"))
        tell_end(t, message);
    else if (message != NULL && t->json)
        print_json(t);
    else if (message != NULL && (is(&t->op, "event") || is(&t->op, "signal")))
        print_data(t, message);
    if (!t->json)
        tell_start(t, had_position);
    fflush(stdout);
    leat_tree_free(message);
    t->op.len = t->id.len = t->data.len = 0;
}

/* --- the stream --- */

static bool take_field(const leat_buf *line, const char *name, leat_buf *to)
{
    size_t len = strlen(name);
    if (line->len < len || memcmp(line->at, name, len) != 0)
        return false;
    to->len = 0;
    leat_buf_append(to, line->at + len, line->len - len);
    return true;
}

static void on_line(struct tail *t)
{
    if (t->line.len == 0) {
        if (t->data.len > 1)
            show(t);
        return;
    }
    if (!take_field(&t->line, "event: ", &t->op) && !take_field(&t->line, "id: ", &t->id))
        (void)take_field(&t->line, "data: ", &t->data);
}

static bool on_piece(void *arg, leat_slice piece)
{
    struct tail *t = arg;
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.at[i] == '\n') {
            on_line(t);
            t->line.len = 0;
        } else if (piece.at[i] != '\r') {
            leat_buf_char(&t->line, piece.at[i]);
        }
    }
    return true;
}

static int follow_once(struct tail *t, const char *socket, leat_buf *error)
{
    leat_buf target = LEAT_BUF_INIT, answer = LEAT_BUF_INIT;
    char seq[24];
    snprintf(seq, sizeof(seq), "%" PRId64, t->seq);
    leat_buf_text(&target, "/tail");
    leat_operator_add(&target, "name", t->topic);
    leat_operator_add(&target, "epoch", t->epoch);
    leat_operator_add(&target, "seq", t->epoch == NULL ? NULL : seq);
    leat_buf_char(&target, '\0');
    t->state = SILENT;
    t->line.len = t->data.len = t->op.len = t->id.len = 0;
    leat_operator_request request = {.socket = socket,
                                     .method = "GET",
                                     .target = target.at,
                                     .silence_ms = TIMEOUT_MS,
                                     .on_piece = on_piece,
                                     .arg = t};
    int err = leat_operator_send(&request, &answer, error);
    leat_buf_close(&target);
    leat_buf_close(&answer);
    return err;
}

static void wait_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* The connection has ended. Says so once, until another one lives. */
static void tell_loss(const struct tail *t, bool *lost)
{
    if (!*lost && t->state != SENT_AWAY)
        say(t, "the server is gone; trying again");
    *lost = true;
}

/* A server that is gone may be started again. One that is there and is silent, or that refuses the
 * request, is an answer. */
static bool may_come_back(const struct tail *t, int err)
{
    return t->state != ENDED && (err == 0 || err == LEAT_ECLOSED);
}

static int follow(struct tail *t, const char *socket, leat_buf *error)
{
    unsigned wait = FIRST_WAIT_MS;
    bool lost = false;
    int err = follow_once(t, socket, error);
    bool ever = t->state != SILENT;
    while (ever && may_come_back(t, err)) {
        tell_loss(t, &lost);
        wait_ms(wait);
        wait = wait * 2 < LAST_WAIT_MS ? wait * 2 : LAST_WAIT_MS;
        error->len = 0;
        err = follow_once(t, socket, error);
        if (t->state == SILENT)
            continue;
        lost = false;
        wait = FIRST_WAIT_MS;
    }
    if (t->state == ENDED && error->len == 0)
        leat_buf_text(error, "the subscription has ended");
    else if (err == 0 && !ever)
        leat_buf_text(error, "the server closed the connection");
    if (t->state != ENDED && ever && t->epoch != NULL)
        leat_buf_printf(error, "; leat tail --since %s:%" PRId64 " goes on from here", t->epoch,
                        t->seq);
    return err < 0 ? err : LEAT_ECLOSED;
}

/* "EPOCH:SEQ" */
static bool read_since(struct tail *t, const char *since)
{
    const char *colon = since == NULL ? NULL : strrchr(since, ':');
    char *end = NULL;
    if (since == NULL)
        return true;
    if (colon == NULL || colon == since || colon[1] < '0' || colon[1] > '9')
        return false;
    t->epoch = leat_memdup(since, (size_t)(colon - since));
    t->seq = strtoll(colon + 1, &end, 10);
    return *end == '\0';
}

int leat_tail(const leat_options *options, leat_buf *error)
{
    struct tail t = {.topic = options->words[0], .json = options->json};
    leat_buf socket = LEAT_BUF_INIT;
    int err = LEAT_ECONFIG;
    leat_operator_path(&socket, options->control);
    if (options->n_words != 1)
        leat_buf_text(error, "expected: leat tail TOPIC");
    else if (!read_since(&t, options->since))
        leat_buf_text(error, "--since: expected EPOCH:SEQ");
    else
        err = follow(&t, socket.at, error);
    free(t.epoch);
    leat_buf_close(&t.line);
    leat_buf_close(&t.op);
    leat_buf_close(&t.id);
    leat_buf_close(&t.data);
    leat_buf_close(&socket);
    return err;
}

/* --- leat publish --- */

static void write_published(leat_buf *out, const leat_buf *answer, bool json)
{
    if (json) {
        leat_buf_slice(out, leat_buf_view(answer));
        return;
    }
    leat_value *v = leat_tree_parse(leat_buf_view(answer));
    leat_buf_printf(out, "%s:%s\n", leat_tree_text(v, "epoch"), leat_tree_text(v, "seq"));
    leat_tree_free(v);
}

int leat_publish_once(const leat_options *options, leat_buf *out, leat_buf *error)
{
    leat_buf socket = LEAT_BUF_INIT, target = LEAT_BUF_INIT, answer = LEAT_BUF_INIT;
    if (options->n_words != 2) {
        leat_buf_text(error, "expected: leat publish TOPIC JSON");
        return LEAT_ECONFIG;
    }
    leat_operator_path(&socket, options->control);
    leat_buf_text(&target, "/publish");
    leat_operator_add(&target, "name", options->words[0]);
    leat_buf_char(&target, '\0');
    leat_operator_request request = {.socket = socket.at,
                                     .method = "POST",
                                     .target = target.at,
                                     .body = options->words[1],
                                     .timeout_ms = TIMEOUT_MS};
    int err = leat_operator_send(&request, &answer, error);
    if (err == 0)
        write_published(out, &answer, options->json);
    leat_buf_close(&socket);
    leat_buf_close(&target);
    leat_buf_close(&answer);
    return err;
}
