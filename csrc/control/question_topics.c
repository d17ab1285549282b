/* question_topics.c - `topics`: the first look finds the names that are the first ones on some
 * worker; the second one asks every worker about these names, so that sums are whole. `topic`: one
 * look. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "control/ask.h"
#include "wire/json.h"

enum { TIMEOUT_MS = 2000 };

/* --- on a worker --- */

static leat_work find_first(leat_part *part, leat_worker *w)
{
    return leat_view_topics(leat_worker_core(w), &part->topic_walk) ? LEAT_WORK_MORE
                                                                    : LEAT_WORK_DONE;
}

/* The names stand behind each other in asked.data, each on a line. */
static leat_work find_named(leat_part *part, leat_worker *w)
{
    char *rest = NULL;
    for (char *name = strtok_r(part->asked.data, "\n", &rest); name != NULL;
         name = strtok_r(NULL, "\n", &rest))
        leat_view_topic_row(leat_worker_core(w), name, &part->topics);
    return LEAT_WORK_DONE;
}

static leat_work find_one(leat_part *part, leat_worker *w)
{
    part->found = leat_view_topic(leat_worker_core(w), part->asked.name, &part->json);
    return LEAT_WORK_DONE;
}

static const leat_question first = {find_first, TIMEOUT_MS};
static const leat_question named = {find_named, TIMEOUT_MS};
static const leat_question one = {find_one, TIMEOUT_MS};

/* --- topics --- */

static void take_names(leat_ask *ask)
{
    leat_topic_rows_init(&ask->names, (leat_topic_order)ask->asked.order, ask->asked.limit);
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered)
            continue;
        ask->total = p->topic_walk.total > ask->total ? p->topic_walk.total : ask->total;
        for (size_t k = 0; k < p->topics.count; k++)
            if (leat_topic_rows_find(&ask->names, p->topics.at[k]->name) == NULL)
                leat_topic_rows_add(&ask->names, p->topics.at[k]);
    }
}

static bool go_on(leat_ask *ask)
{
    if (ask->step++ > 0)
        return true;
    take_names(ask);
    leat_buf names = LEAT_BUF_INIT;
    for (size_t i = 0; i < ask->names.count; i++)
        leat_buf_printf(&names, "%s\n", ask->names.at[i]->name);
    leat_asked again = {.data = leat_buf_detach(&names, NULL),
                        .order = ask->asked.order,
                        .limit = ask->asked.limit};
    leat_look_begin(&ask->look, ask->inside->lookout, &named, &again, LEAT_LOOK_ALL);
    free(again.data);
    return false;
}

/* Every worker sees all events of a topic; subscribers and rings are its own. */
static void sum_up(leat_topic_row *sum, const leat_topic_row *row)
{
    if (row->head > sum->head) {
        sum->head = row->head;
        memcpy(sum->epoch, row->epoch, sizeof(sum->epoch));
    }
    sum->subscribers += row->subscribers;
    sum->ring_bytes += row->ring_bytes;
    sum->ring_events = row->ring_events > sum->ring_events ? row->ring_events : sum->ring_events;
    sum->events_per_s =
        row->events_per_s > sum->events_per_s ? row->events_per_s : sum->events_per_s;
}

static void sum_all(leat_ask *ask, leat_topic_rows *sums)
{
    leat_topic_rows_init(sums, (leat_topic_order)ask->asked.order, ask->asked.limit);
    for (size_t k = 0; k < ask->names.count; k++) {
        leat_topic_row sum = {.name = ask->names.at[k]->name, .head = -1};
        bool there = false;
        for (size_t i = 0; i < ask->look.n_parts; i++) {
            const leat_part *p = ask->look.parts[i];
            const leat_topic_row *row =
                p != NULL && p->answered ? leat_topic_rows_find(&p->topics, sum.name) : NULL;
            if (row != NULL)
                sum_up(&sum, row);
            there = there || row != NULL;
        }
        if (there)
            leat_topic_rows_add(sums, &sum);
    }
}

static void write_row(const leat_topic_row *row, leat_buf *json)
{
    leat_buf_text(json, "{\"topic\":");
    leat_json_write_text(json, leat_slice_of(row->name));
    if (row->head >= 0) {
        leat_buf_text(json, ",\"epoch\":");
        leat_json_write_text(json, leat_slice_of(row->epoch));
        leat_buf_printf(json, ",\"head\":%" PRId64, row->head);
    }
    leat_buf_printf(json,
                    ",\"subscribers\":%zu,\"events_per_s\":%.2f,\"ring_events\":%zu"
                    ",\"ring_bytes\":%zu}",
                    row->subscribers, row->events_per_s, row->ring_events, row->ring_bytes);
}

static int write_topics(leat_ask *ask, leat_buf *json)
{
    leat_topic_rows sums;
    sum_all(ask, &sums);
    leat_buf_printf(json, ",\"topics\":[");
    for (size_t i = 0; i < sums.count; i++) {
        if (i > 0)
            leat_buf_char(json, ',');
        write_row(sums.at[i], json);
    }
    /* A topic may be on several workers: the largest number is the least that there are. */
    leat_buf_printf(json, "],\"at_least\":%zu", ask->total);
    leat_topic_rows_close(&sums);
    return 200;
}

const leat_ask_kind leat_ask_topics = {
    .method = "GET",
    .name = "topics",
    LEAT_ASK_ORDERS("busiest largest subscribers"), /* as leat_topic_order */
    .question = &first,
    .only = LEAT_LOOK_ALL,
    .go_on = go_on,
    .write = write_topics,
};

/* --- topic --- */

static int write_topic(leat_ask *ask, leat_buf *json)
{
    bool found = false;
    leat_buf_text(json, ",\"topic\":");
    leat_json_write_text(json, leat_slice_of(ask->asked.name));
    leat_buf_text(json, ",\"workers\":[");
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered || !p->found)
            continue;
        leat_buf_printf(json, "%s{\"worker\":%zu", found ? "," : "", i);
        leat_buf_slice(json, leat_buf_view(&p->json));
        leat_buf_char(json, '}');
        found = true;
    }
    leat_buf_text(
        json, found
                  ? "]"
                  : "],\"code\":\"not_found\",\"message\":\"nobody has subscribed to this topic\"");
    return found ? 200 : 404;
}

const leat_ask_kind leat_ask_topic = {
    .method = "GET",
    .name = "topic",
    .needs_name = true,
    .question = &one,
    .only = LEAT_LOOK_ALL,
    .write = write_topic,
};
