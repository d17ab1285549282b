/* show.c - leat_show makes the target of the request from the command's words, sends it
 * (operator.h), and renders the answer (render.h). */
#include "app/show.h"

#include <string.h>

#include "app/operator.h"
#include "app/render.h"

enum { TIMEOUT_MS = 10000 };

struct question {
    const char *name;
    const char *parameter; /* of its argument; NULL: it has none */
};

static const struct question questions[] = {
    {"summary", NULL},  {"ready", NULL},      {"topics", NULL},   {"topic", "name"},
    {"clients", NULL},  {"client", "client"}, {"pool", NULL},     {"watches", NULL},
    {"config", NULL},   {"script", NULL},     {"postgres", NULL}, {"handlers", NULL},
    {"patterns", NULL}, {"statements", NULL},
};

static const struct question *find(const char *name)
{
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        if (strcmp(questions[i].name, name) == 0)
            return &questions[i];
    return NULL;
}

static int write_target(leat_buf *target, const leat_options *options, leat_buf *error)
{
    const char *name = options->n_words > 0 ? options->words[0] : "summary";
    const struct question *q = find(name);
    size_t expected = q != NULL && q->parameter != NULL ? 2 : 1;
    if (q == NULL || options->n_words > expected || (expected == 2 && options->n_words < 2)) {
        leat_buf_text(error,
                      "expected: leat show summary, ready, topics, topic NAME, clients, client ID, "
                      "pool, watches, config, script, handlers, patterns, statements or postgres");
        return LEAT_ECONFIG;
    }
    leat_buf_printf(target, "/%s", q->name);
    if (q->parameter != NULL)
        leat_operator_add(target, q->parameter, options->words[1]);
    leat_operator_add(target, "by", options->by);
    leat_operator_add(target, "limit", options->limit);
    leat_operator_add(target, "user", options->user);
    leat_buf_char(target, '\0');
    return 0;
}

static int show(leat_buf *out, const leat_buf *answer, bool json, leat_buf *error)
{
    if (json) {
        leat_render_json(out, leat_buf_view(answer));
        return 0;
    }
    leat_value *v = leat_tree_parse(leat_buf_view(answer));
    if (v == NULL || v->kind != LEAT_VALUE_OBJECT)
        leat_buf_text(error, "the answer is no JSON object");
    else
        leat_render(out, v);
    leat_tree_free(v);
    return error->len > 0 ? LEAT_EBADMSG : 0;
}

/* `leat log [LEVELS]` */
static int write_log_target(leat_buf *target, const leat_options *options, leat_buf *error)
{
    if (options->n_words > 1) {
        leat_buf_text(error, "expected: leat log, or leat log LEVELS, as in info,pg=debug");
        return LEAT_ECONFIG;
    }
    leat_buf_text(target, options->n_words > 0 ? "/log_level" : "/log");
    leat_operator_add(target, "name", options->n_words > 0 ? options->words[0] : NULL);
    leat_buf_char(target, '\0');
    return 0;
}

int leat_show(const leat_options *options, leat_buf *out, leat_buf *error)
{
    leat_buf socket = LEAT_BUF_INIT, target = LEAT_BUF_INIT, answer = LEAT_BUF_INIT;
    leat_operator_path(&socket, options->control);
    bool is_log = options->command == LEAT_OPTIONS_LOG;
    bool sets = is_log && options->n_words > 0;
    int err =
        is_log ? write_log_target(&target, options, error) : write_target(&target, options, error);
    if (err == 0) {
        leat_operator_request request = {.socket = socket.at,
                                         .method = sets ? "POST" : "GET",
                                         .target = target.at,
                                         .timeout_ms = TIMEOUT_MS};
        err = leat_operator_send(&request, &answer, error);
    }
    if (err == 0)
        err = show(out, &answer, options->json, error);
    leat_buf_close(&socket);
    leat_buf_close(&target);
    leat_buf_close(&answer);
    return err;
}
