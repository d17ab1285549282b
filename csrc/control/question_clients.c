/* question_clients.c - `clients` and `client`: a client is on one worker, so one look tells all. */
#include <inttypes.h>
#include <stdlib.h>

#include "control/ask.h"
#include "wire/json.h"

enum { TIMEOUT_MS = 2000 };

static leat_work find_first(leat_part *part, leat_worker *w)
{
    return leat_view_clients(leat_worker_core(w), &part->client_walk) ? LEAT_WORK_MORE
                                                                      : LEAT_WORK_DONE;
}

static leat_work find_one(leat_part *part, leat_worker *w)
{
    part->found =
        leat_view_client(leat_worker_core(w), part->worker, part->asked.number, &part->json);
    return LEAT_WORK_DONE;
}

static const leat_question first = {find_first, TIMEOUT_MS};
static const leat_question one = {find_one, TIMEOUT_MS};

static size_t merge(const leat_ask *ask, leat_client_rows *all)
{
    size_t total = 0;
    leat_client_rows_init(all, (leat_client_order)ask->asked.order, ask->asked.limit);
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered)
            continue;
        total += p->client_walk.total;
        for (size_t k = 0; k < p->clients.count; k++)
            leat_client_rows_add(all, &p->clients.at[k]);
    }
    return total;
}

static int write_clients(leat_ask *ask, leat_buf *json)
{
    leat_client_rows all;
    size_t total = merge(ask, &all);
    leat_buf_printf(json, ",\"total\":%zu,\"clients\":[", total);
    for (size_t i = 0; i < all.count; i++) {
        leat_buf_text(json, i > 0 ? ",{" : "{");
        leat_client_row_write(&all.at[i], json);
        leat_buf_char(json, '}');
    }
    leat_buf_char(json, ']');
    leat_client_rows_close(&all);
    return 200;
}

const leat_ask_kind leat_ask_clients = {
    .method = "GET",
    .name = "clients",
    LEAT_ASK_ORDERS("queued subscriptions silent"), /* as leat_client_order */
    .question = &first,
    .only = LEAT_LOOK_ALL,
    .write = write_clients,
};

static int write_client(leat_ask *ask, leat_buf *json)
{
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered || !p->found)
            continue;
        leat_buf_slice(json, leat_buf_view(&p->json));
        return 200;
    }
    leat_buf_text(json, ",\"code\":\"not_found\",\"message\":\"there is no such client\"");
    return 404;
}

const leat_ask_kind leat_ask_client = {
    .method = "GET",
    .name = "client",
    .needs_client = true,
    .question = &one,
    .write = write_client,
};
