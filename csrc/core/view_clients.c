/* view_clients.c - leat_view_clients makes a row of each client that it meets, and
 * leat_client_rows_add keeps the first ones in their order. */
#include "core/view_clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "core/client_state.h"
#include "core/sub_private.h"
#include "core/sub_table.h"
#include "wire/json.h"

/* A part takes PART_NS. The clock is read after each PIECE clients. */
enum { PIECE = 16 };
#define PART_NS UINT64_C(100000)

/* --- rows --- */

void leat_client_rows_init(leat_client_rows *rows, leat_client_order order, size_t limit)
{
    *rows = (leat_client_rows){.order = order, .limit = limit};
    rows->at = leat_calloc(limit + 1, sizeof(*rows->at));
}

void leat_client_rows_close(leat_client_rows *rows)
{
    free(rows->at);
    *rows = (leat_client_rows){.count = 0};
}

static uint64_t rank_of(const leat_client_rows *rows, const leat_client_row *row)
{
    switch (rows->order) {
    case LEAT_CLIENTS_QUEUED:
        return row->queued;
    case LEAT_CLIENTS_SILENT:
        return row->silent_ms;
    case LEAT_CLIENTS_SUBSCRIPTIONS:
    case LEAT_CLIENT_ORDERS:
        break;
    }
    return row->subscriptions;
}

/* Of equals, the older client comes first: so that a table stands still. */
static bool comes_before(const leat_client_rows *rows, const leat_client_row *a,
                         const leat_client_row *b)
{
    uint64_t ra = rank_of(rows, a), rb = rank_of(rows, b);
    if (ra != rb)
        return ra > rb;
    return a->number != b->number ? a->number < b->number : a->worker < b->worker;
}

void leat_client_rows_add(leat_client_rows *rows, const leat_client_row *row)
{
    size_t i = rows->count;
    while (i > 0 && comes_before(rows, row, &rows->at[i - 1]))
        i--;
    if (i >= rows->limit)
        return;
    memmove(rows->at + i + 1, rows->at + i, (rows->count - i) * sizeof(*rows->at));
    rows->at[i] = *row;
    if (++rows->count > rows->limit)
        rows->count--;
}

void leat_client_row_write(const leat_client_row *row, leat_buf *json)
{
    leat_buf_printf(json, "\"client\":\"%zu-%" PRIu64 "\",\"remote\":", row->worker, row->number);
    leat_json_write_text(json, leat_slice_of(row->remote));
    if (row->user[0] != '\0') {
        leat_buf_text(json, ",\"user\":");
        leat_json_write_text(json, leat_slice_of(row->user));
    }
    leat_buf_printf(json,
                    ",\"protocol\":\"%s\",\"status\":\"%s\",\"subscriptions\":%zu,\"inflight\":%zu"
                    ",\"queued_bytes\":%zu,\"held_bytes\":%zu,\"silent_ms\":%" PRIu64
                    ",\"slow\":%s",
                    row->protocol, row->status, row->subscriptions, row->inflight, row->queued,
                    row->held, row->silent_ms, row->slow ? "true" : "false");
}

/* --- looking --- */

static const char *status_name(client_status status)
{
    switch (status) {
    case CLIENT_OPEN:
        return "open";
    case CLIENT_GUEST:
        return "guest";
    case CLIENT_IDENTIFYING:
        return "identifying";
    case CLIENT_DRAINING:
        return "draining";
    case CLIENT_CLOSED:
        break;
    }
    return "closed";
}

/* Cut at a character's end. */
static void copy_user(const leat_session *session, char out[96])
{
    leat_slice id = session == NULL ? leat_slice_of("") : leat_session_user_id(session);
    size_t len = id.len < 95 ? id.len : 95;
    while (len > 0 && !leat_utf8_valid(id.at, len))
        len--;
    if (len > 0) {
        LEAT_ASSUME(id.at != NULL);
        memcpy(out, id.at, len);
    }
    out[len] = '\0';
}

static leat_client_row row_of(const leat_client *c, size_t worker)
{
    const leat_subscriber *s = &c->base;
    uint64_t now_ms = leat_loop_now(s->core->loop);
    leat_client_row row = {
        .worker = worker,
        .number = s->session == NULL ? 0 : s->session->client,
        .protocol = s->is_stream ? "stream" : c->base.codec->name,
        .status = status_name(c->status),
        .subscriptions = s->subs.count,
        .inflight = s->n_inflight,
        .queued = leat_peer_queued(c->peer),
        .held = client_request_bytes(c) + s->params_bytes + leat_peer_received(c->peer),
        .silent_ms = now_ms > c->heard_ms ? now_ms - c->heard_ms : 0,
        .slow = c->peer->output >= LEAT_PEER_FULL,
    };
    snprintf(row.remote, sizeof(row.remote), "%s", leat_peer_remote(c->peer));
    copy_user(s->session, row.user);
    return row;
}

static bool is_wanted(const leat_client_walk *walk, const leat_client *c)
{
    const leat_session *session = c->base.session;
    return walk->user == NULL || (session != NULL && leat_session_user_id(session).at != NULL &&
                                  leat_slice_is(leat_session_user_id(session), walk->user));
}

/* The list is turned, as in client_round.c: the first one becomes the last one. */
static void meet_first(leat_core *core, leat_client_walk *walk)
{
    leat_list *link = leat_list_shift(&core->clients);
    walk->left = link == NULL ? 0 : walk->left - 1;
    if (link == NULL)
        return;
    leat_list_push(&core->clients, link);
    leat_client *c = LEAT_CONTAINER_OF(link, leat_client, link);
    walk->total++;
    if (!is_wanted(walk, c))
        return;
    leat_client_row row = row_of(c, walk->worker);
    leat_client_rows_add(walk->rows, &row);
}

bool leat_view_clients(leat_core *core, leat_client_walk *walk)
{
    uint64_t end_ns = uv_hrtime() + PART_NS;
    if (!walk->begun)
        walk->left = core->n_clients;
    walk->begun = true;
    while (walk->left > 0 && uv_hrtime() < end_ns)
        for (int i = 0; i < PIECE && walk->left > 0; i++)
            meet_first(core, walk);
    return walk->left > 0;
}

/* --- one client --- */

leat_client *leat_view_find_client(leat_core *core, uint64_t number)
{
    for (leat_list *l = core->clients.next; l != &core->clients; l = l->next) {
        leat_client *c = LEAT_CONTAINER_OF(l, leat_client, link);
        if (c->base.session != NULL && c->base.session->client == number)
            return c;
    }
    return NULL;
}

static void write_sub(const leat_sub *s, leat_buf *json)
{
    leat_buf_text(json, "{\"topic\":");
    leat_json_write_text(json, leat_map_key(&s->entry));
    leat_buf_printf(json, ",\"state\":\"%s\",\"stale\":%s", sub_traits[s->state].name,
                    s->stale ? "true" : "false");
    const leat_topic *t = s->cursor.topic;
    if (t != NULL && t->ring.head != LEAT_RING_UNKNOWN && s->cursor.next_seq > 0)
        leat_buf_printf(json, ",\"seq\":%" PRId64 ",\"lag\":%" PRId64, s->cursor.next_seq - 1,
                        t->ring.head + 1 - s->cursor.next_seq);
    leat_buf_char(json, '}');
}

bool leat_view_client(leat_core *core, size_t worker, uint64_t number, leat_buf *json)
{
    leat_client *c = leat_view_find_client(core, number);
    size_t n = 0;
    if (c == NULL)
        return false;
    leat_client_row row = row_of(c, worker);
    leat_buf_char(json, ',');
    leat_client_row_write(&row, json);
    leat_buf_text(json, ",\"topics\":[");
    for (leat_map_entry *e = leat_map_next(&c->base.subs, NULL);
         e != NULL && n < LEAT_VIEW_SUBSCRIPTIONS; e = leat_map_next(&c->base.subs, e), n++) {
        if (n > 0)
            leat_buf_char(json, ',');
        write_sub(LEAT_CONTAINER_OF(e, leat_sub, entry), json);
    }
    leat_buf_char(json, ']');
    return true;
}
