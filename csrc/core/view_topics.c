/* view_topics.c - leat_view_topics makes a row of each topic that it meets, and
 * leat_topic_rows_add keeps the first ones in their order. */
#include "core/view_topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sub_private.h"
#include "core/sub_table.h"
#include "core/topic.h"
#include "wire/json.h"

/* A part takes PART_NS. The clock is read after each PIECE topics. */
enum { PIECE = 32 };
#define PART_NS UINT64_C(100000)

/* --- rows --- */

void leat_topic_rows_init(leat_topic_rows *rows, leat_topic_order order, size_t limit)
{
    *rows = (leat_topic_rows){.order = order, .limit = limit};
    rows->at = leat_calloc(limit + 1, sizeof(leat_topic_row *));
}

static void free_row(leat_topic_row *row)
{
    free(row->name);
    free(row);
}

void leat_topic_rows_close(leat_topic_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free_row(rows->at[i]);
    free(rows->at);
    *rows = (leat_topic_rows){.count = 0};
}

static double rank_of(const leat_topic_rows *rows, const leat_topic_row *row)
{
    switch (rows->order) {
    case LEAT_TOPICS_BUSIEST:
        return row->events_per_s;
    case LEAT_TOPICS_LARGEST:
        return (double)row->ring_bytes;
    case LEAT_TOPICS_MOST:
    case LEAT_TOPIC_ORDERS:
        break;
    }
    return (double)row->subscribers;
}

/* Of equals, the one with more subscribers comes first, then the name decides: so that a table that
 * is drawn again and again stands still. */
static bool comes_before(const leat_topic_rows *rows, const leat_topic_row *a,
                         const leat_topic_row *b)
{
    double ra = rank_of(rows, a), rb = rank_of(rows, b);
    if (ra > rb || ra < rb)
        return ra > rb;
    if (a->subscribers != b->subscribers)
        return a->subscribers > b->subscribers;
    return strcmp(a->name, b->name) < 0;
}

void leat_topic_rows_add(leat_topic_rows *rows, const leat_topic_row *row)
{
    size_t i = rows->count;
    while (i > 0 && comes_before(rows, row, rows->at[i - 1]))
        i--;
    if (i >= rows->limit)
        return;
    leat_topic_row *copy = leat_calloc(1, sizeof(*copy));
    *copy = *row;
    copy->name = leat_strdup(row->name);
    memmove(rows->at + i + 1, rows->at + i, (rows->count - i) * sizeof(leat_topic_row *));
    rows->at[i] = copy;
    if (++rows->count > rows->limit)
        free_row(rows->at[--rows->count]);
}

leat_topic_row *leat_topic_rows_find(const leat_topic_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->at[i]->name, name) == 0)
            return rows->at[i];
    return NULL;
}

/* --- looking --- */

static leat_topic_row row_of(leat_topic *t, uint64_t now_ms)
{
    leat_topic_row row = {
        .name = t->name,
        .head = t->ring.head,
        .subscribers = t->n_cursors_,
        .ring_events = leat_ring_count(&t->ring),
        .ring_bytes = leat_ring_bytes(&t->ring),
        .events_per_s = t->flow_ == NULL ? 0 : leat_busy_rate(t->flow_->busy, now_ms),
    };
    leat_slice epoch =
        t->ring.epoch == NULL ? (leat_slice){NULL, 0} : leat_epoch_text(t->ring.epoch);
    if (epoch.len > 0 && epoch.len < sizeof(row.epoch))
        memcpy(row.epoch, epoch.at, epoch.len);
    return row;
}

struct walking {
    leat_topic_walk *walk;
    uint64_t now_ms;
};

static void meet(void *arg, leat_map_entry *e)
{
    struct walking *w = arg;
    leat_topic_row row = row_of(LEAT_CONTAINER_OF(e, leat_topic, ring.entry), w->now_ms);
    w->walk->total++;
    leat_topic_rows_add(w->walk->rows, &row);
}

bool leat_view_topics(leat_core *core, leat_topic_walk *walk)
{
    struct walking w = {walk, leat_loop_now(core->loop)};
    uint64_t end_ns = uv_hrtime() + PART_NS;
    bool more = true;
    while (more && uv_hrtime() < end_ns)
        more = leat_map_walk(&core->topics, &walk->place, PIECE, meet, &w);
    return more;
}

static leat_topic *find(leat_core *core, const char *name)
{
    leat_map_entry *e = leat_map_get(&core->topics, leat_slice_of(name));
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_topic, ring.entry);
}

void leat_view_topic_row(leat_core *core, const char *name, leat_topic_rows *rows)
{
    leat_topic *t = find(core, name);
    if (t == NULL)
        return;
    leat_topic_row row = row_of(t, leat_loop_now(core->loop));
    leat_topic_rows_add(rows, &row);
}

/* --- one topic --- */

struct states {
    size_t seen;
    size_t of[SUB_STATE_COUNT];
    size_t stale;
    int64_t lag; /* of the one that is furthest behind */
};

static void count_states(struct states *s, const leat_list *cursors, int64_t head)
{
    for (leat_list *l = cursors->next; l != cursors && s->seen < LEAT_VIEW_SUBSCRIBERS;
         l = l->next) {
        const leat_cursor *c = LEAT_CONTAINER_OF(l, leat_cursor, link);
        const leat_sub *sub = LEAT_CONTAINER_OF(c, leat_sub, cursor);
        s->seen++;
        s->of[sub->state]++;
        s->stale += sub->stale;
        int64_t lag =
            sub->state == SUB_LIVE || sub->state == SUB_CATCHING_UP ? head + 1 - c->next_seq : 0;
        s->lag = lag > s->lag ? lag : s->lag;
    }
}

static void write_states(leat_topic *t, leat_buf *json)
{
    struct states s = {.seen = 0};
    count_states(&s, &t->cursors_, t->ring.head);
    if (t->flow_ != NULL)
        count_states(&s, &t->flow_->unreached, t->ring.head);
    leat_buf_printf(json, ",\"looked_at\":%zu,\"stale\":%zu,\"lag\":%" PRId64 ",\"states\":{",
                    s.seen, s.stale, s.lag);
    bool first = true;
    for (unsigned i = 0; i < SUB_STATE_COUNT; i++) {
        if (s.of[i] == 0)
            continue;
        leat_buf_printf(json, "%s\"%s\":%zu", first ? "" : ",", sub_traits[i].name, s.of[i]);
        first = false;
    }
    leat_buf_char(json, '}');
}

static const char *kind_name(leat_event_kind kind)
{
    switch (kind) {
    case LEAT_EVENT_DATA:
        return "event";
    case LEAT_EVENT_SKIP:
        return "skip";
    case LEAT_EVENT_REVOKE:
        return "revoke";
    case LEAT_EVENT_RESYNC:
        return "resync";
    case LEAT_EVENT_OVERSIZE:
        return "oversize";
    case LEAT_EVENT_SIGNAL:
        break;
    }
    return "signal";
}

static void write_event(const leat_event *e, leat_buf *json)
{
    leat_slice data = leat_event_data(e);
    leat_buf_printf(json, "{\"seq\":%" PRId64 ",\"kind\":\"%s\",\"bytes\":%zu", leat_event_seq(e),
                    kind_name(leat_event_kind_of(e)), data.len);
    if (leat_event_kind_of(e) == LEAT_EVENT_DATA && data.len <= LEAT_VIEW_DATA) {
        leat_buf_text(json, ",\"data\":");
        leat_json_append_line(json, data);
    }
    leat_buf_char(json, '}');
}

static void write_events(const leat_ring *r, leat_buf *json)
{
    leat_buf_text(json, ",\"events\":[");
    bool first = true;
    for (int64_t seq = r->head; seq > r->head - LEAT_VIEW_EVENTS; seq--) {
        const leat_event *e = r->head < 0 ? NULL : leat_ring_event(r, seq);
        if (e == NULL)
            break;
        if (!first)
            leat_buf_char(json, ',');
        first = false;
        write_event(e, json);
    }
    leat_buf_char(json, ']');
}

bool leat_view_topic(leat_core *core, const char *name, leat_buf *json)
{
    leat_topic *t = find(core, name);
    if (t == NULL)
        return false;
    const leat_ring *r = &t->ring;
    leat_topic_row row = row_of(t, leat_loop_now(core->loop));
    leat_buf_printf(json, ",\"armed\":%s,\"epoch\":", t->armed ? "true" : "false");
    leat_json_write_text(json, leat_slice_of(row.epoch));
    if (r->head != LEAT_RING_UNKNOWN)
        leat_buf_printf(json, ",\"head\":%" PRId64 ",\"revoked\":%" PRId64, r->head, r->revoked);
    leat_buf_printf(json,
                    ",\"subscribers\":%zu,\"ring_events\":%zu,\"ring_bytes\":%zu"
                    ",\"events_per_s\":%.2f",
                    row.subscribers, row.ring_events, row.ring_bytes, row.events_per_s);
    write_states(t, json);
    write_events(r, json);
    return true;
}
