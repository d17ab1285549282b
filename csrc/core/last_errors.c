/* last_errors.c - a short list: each failure is looked for in it, and moves to its end. */
#include "core/last_errors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "wire/json.h"

typedef struct entry {
    leat_list link;
    const char *handler;
    char *name; /* of the last time */
    leat_code code;
    char sqlstate[6];
    char *text;
    int64_t first_ms;
    int64_t last_ms;
    uint64_t n;
} entry;

static entry *entry_of(leat_list *link)
{
    return LEAT_CONTAINER_OF(link, entry, link);
}

static void drop(leat_last_errors *e, entry *old)
{
    leat_list_unlink(&old->link);
    e->n_--;
    free(old->name);
    free(old->text);
    free(old);
}

void leat_last_errors_init(leat_last_errors *e)
{
    leat_list_init(&e->all_);
    e->n_ = 0;
}

void leat_last_errors_close(leat_last_errors *e)
{
    while (e->n_ > 0)
        drop(e, entry_of(leat_list_take(&e->all_)));
}

/* Returns the entry of the same failure: of the same place in the scripts, for the same reason. */
static entry *find(const leat_last_errors *e, const leat_script_failure *f, leat_slice text)
{
    for (leat_list *l = e->all_.next; l != &e->all_; l = l->next) {
        entry *old = entry_of(l);
        if (strcmp(old->handler, f->handler) == 0 && strcmp(old->sqlstate, f->sqlstate) == 0 &&
            leat_slice_is(text, old->text))
            return old;
    }
    return NULL;
}

static entry *make(leat_last_errors *e, const leat_script_failure *f, leat_slice text,
                   int64_t now_ms)
{
    if (e->n_ == LEAT_LAST_ERRORS)
        drop(e, entry_of(e->all_.next));
    entry *new = leat_calloc(1, sizeof(*new));
    leat_list_init(&new->link);
    new->handler = f->handler;
    new->text = leat_memdup(text.at, text.len);
    new->first_ms = now_ms;
    strncpy(new->sqlstate, f->sqlstate, sizeof(new->sqlstate) - 1);
    e->n_++;
    return new;
}

void leat_last_errors_add(leat_last_errors *e, const leat_script_failure *f)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    leat_slice text = f->text;
    text.len = text.len < LEAT_LAST_ERROR_BYTES ? text.len : LEAT_LAST_ERROR_BYTES;
    entry *known = find(e, f, text);
    if (known == NULL)
        known = make(e, f, text, now_ms);
    free(known->name);
    known->name = leat_memdup(f->name.at, f->name.len);
    known->code = f->code;
    known->last_ms = now_ms;
    known->n++;
    leat_list_unlink(&known->link);
    leat_list_push(&e->all_, &known->link);
}

static void write_entry(const entry *x, leat_buf *json)
{
    leat_buf_printf(json, "{\"handler\":\"%s\",\"name\":", x->handler);
    leat_json_write_text(json, leat_slice_of(x->name));
    leat_buf_printf(json,
                    ",\"code\":\"%s\",\"sqlstate\":\"%s\",\"count\":%" PRIu64
                    ",\"first_at\":%.3f,\"last_at\":%.3f,\"error\":",
                    leat_code_name(x->code), x->sqlstate, x->n, (double)x->first_ms / 1000,
                    (double)x->last_ms / 1000);
    leat_json_write_text(json, leat_slice_of(x->text));
    leat_buf_char(json, '}');
}

void leat_last_errors_write(const leat_last_errors *e, leat_buf *json)
{
    const char *comma = "";
    leat_buf_char(json, '[');
    for (leat_list *l = e->all_.prev; l != &e->all_; l = l->prev) {
        leat_buf_text(json, comma);
        write_entry(entry_of(l), json);
        comma = ",";
    }
    leat_buf_char(json, ']');
}
