/* log_box.c - on_line -> inbox -> tell_line -> the program. */
#include "embed/log_box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct line {
    inbox_item item;
    log_box *box;
    int level;
    size_t len;
    char text[];
};

static void drop_line(inbox_item *item)
{
    struct line *l = LEAT_CONTAINER_OF(item, struct line, item);
    atomic_fetch_sub(&l->box->waiting_, 1);
    free(l);
}

static void tell_line(inbox_item *item)
{
    struct line *l = LEAT_CONTAINER_OF(item, struct line, item);
    l->box->on_log(l->box->arg, l->level, l->text, l->len);
    drop_line(item);
}

static void put_line(log_box *b, leat_log_level level, const char *text, size_t len)
{
    struct line *l = leat_calloc(1, sizeof(*l) + len + 1);
    l->item = (inbox_item){.run = tell_line, .drop = drop_line};
    l->box = b;
    l->level = (int)level;
    l->len = len;
    memcpy(l->text, text, len);
    atomic_fetch_add(&b->waiting_, 1);
    inbox_put(b->inbox, &l->item);
}

static void report_lost(log_box *b)
{
    char text[80];
    unsigned lost = atomic_exchange(&b->lost_, 0);
    if (lost == 0)
        return;
    int len = snprintf(text, sizeof(text), "lines left out, the program was slow lines=%u", lost);
    put_line(b, LEAT_LOG_LEVEL_WARN, text, (size_t)len);
}

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    log_box *b = arg;
    if (b->on_log == NULL)
        return;
    if (atomic_load(&b->waiting_) >= LOG_BOX_LINES) {
        atomic_fetch_add(&b->lost_, 1);
        return;
    }
    report_lost(b);
    put_line(b, level, line, len);
}

leat_log *log_box_open(log_box *b, const leat_log_levels *levels)
{
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_ERROR, on_line, b);
    if (b->on_log != NULL)
        leat_log_set_levels(log, levels);
    return log;
}
