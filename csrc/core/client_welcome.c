/* client_welcome.c - a list of parts, one for each topic. */
#include "core/client_welcome.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"

typedef struct welcome_part {
    leat_list link;
    leat_buf bytes;
    size_t len;
    char topic[];
} welcome_part;

client_welcome *client_welcome_new(leat_slice id, leat_slice known, uint64_t deadline_ms)
{
    client_welcome *w = leat_calloc(1, sizeof(*w));
    leat_buf_slice(&w->id, id);
    leat_buf_slice(&w->known, known);
    w->deadline_ms = deadline_ms;
    leat_list_init(&w->parts_);
    return w;
}

static welcome_part *part_of(leat_list *l)
{
    return LEAT_CONTAINER_OF(l, welcome_part, link);
}

static void free_part(client_welcome *w, welcome_part *part)
{
    w->bytes -= part->bytes.len;
    leat_list_unlink(&part->link);
    leat_buf_close(&part->bytes);
    free(part);
}

void client_welcome_free(client_welcome *w)
{
    if (w == NULL)
        return;
    while (!leat_list_empty(&w->parts_))
        free_part(w, part_of(leat_list_take(&w->parts_)));
    leat_buf_close(&w->id);
    leat_buf_close(&w->known);
    free(w);
}

void client_welcome_drop(client_welcome *w, leat_slice topic)
{
    for (leat_list *l = w->parts_.next; l != &w->parts_; l = l->next) {
        welcome_part *part = part_of(l);
        if (leat_slice_equal((leat_slice){part->topic, part->len}, topic)) {
            free_part(w, part);
            return;
        }
    }
}

void client_welcome_put(client_welcome *w, leat_slice topic, leat_buf *part)
{
    client_welcome_drop(w, topic);
    welcome_part *made = leat_calloc(1, sizeof(*made) + topic.len);
    made->len = topic.len;
    memcpy(made->topic, topic.at, topic.len);
    made->bytes = *part;
    *part = LEAT_BUF_INIT;
    w->bytes += made->bytes.len;
    leat_list_push(&w->parts_, &made->link);
}

void client_welcome_join(const client_welcome *w, leat_buf *out)
{
    leat_buf_reserve(out, w->bytes);
    for (const leat_list *l = w->parts_.next; l != &w->parts_; l = l->next) {
        const welcome_part *part = LEAT_CONTAINER_OF(l, const welcome_part, link);
        leat_buf_slice(out, leat_buf_view(&part->bytes));
    }
}
