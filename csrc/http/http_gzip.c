/* A form's course: leat_http_gzip_ask makes room and starts a job, in which the file is read and
 * compressed (compress_file). on_compressed keeps what came out and tells those who wait. While it
 * is being made, a form counts with the size of its file, which it can only fall below. A file that
 * does not get shorter stays known as such, without bytes. */
#include "http/http_gzip.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/container_of.h"
#include "base/map.h"
#include "base/mem.h"
#include "wire/gzip.h"

enum { READ_BYTES = 65536 };

typedef enum form_state {
    FORM_MAKING,
    FORM_READY,
    FORM_USELESS, /* the file does not get shorter, or could not be read */
} form_state;

struct leat_http_form {
    leat_http_gzip *owner;
    leat_map_entry entry; /* while it is kept */
    leat_list link;       /* in owner->kept, the one asked for last at the end */
    leat_list waits;
    uv_work_t work;
    char *key;
    leat_slice text; /* owned */
    size_t counted;
    size_t size; /* of the file */
    unsigned holders;
    int fd;
    form_state state;
};

struct leat_http_gzip {
    leat_loop *loop;
    leat_metrics *metrics;
    leat_map map;
    leat_list kept;
    size_t bytes;
    size_t max_bytes;
    int level;
};

leat_http_gzip *leat_http_gzip_new(leat_loop *loop, leat_metrics *metrics, int level,
                                   size_t max_bytes)
{
    leat_http_gzip *g = leat_calloc(1, sizeof(*g));
    g->loop = loop;
    g->metrics = metrics;
    g->level = level;
    g->max_bytes = max_bytes;
    leat_map_init(&g->map);
    leat_list_init(&g->kept);
    return g;
}

static void count(leat_http_form *form, size_t bytes)
{
    leat_http_gzip *g = form->owner;
    g->bytes = g->bytes - form->counted + bytes;
    leat_metrics_add(g->metrics, LEAT_M_GZIP_CACHE_BYTES, (int64_t)bytes - (int64_t)form->counted);
    form->counted = bytes;
}

static size_t fixed_bytes(const leat_http_form *form)
{
    return sizeof(*form) + leat_map_key(&form->entry).len;
}

static void drop(leat_http_form *form)
{
    LEAT_ASSERT(form->state != FORM_MAKING && form->holders == 0);
    leat_map_remove(&form->owner->map, &form->entry);
    leat_list_unlink(&form->link);
    count(form, 0);
    free((char *)form->text.at);
    free(form->key);
    free(form);
}

void leat_http_gzip_free(leat_http_gzip *g)
{
    if (g == NULL)
        return;
    for (leat_list *link; (link = leat_list_shift(&g->kept)) != NULL;)
        drop(LEAT_CONTAINER_OF(link, leat_http_form, link));
    leat_map_close(&g->map);
    free(g);
}

/* Drops forms, the one asked for longest ago first, until there is room. False if there is none. */
static bool make_room(leat_http_gzip *g, size_t bytes)
{
    leat_list *link = g->kept.next;
    while (bytes <= g->max_bytes && g->bytes > g->max_bytes - bytes && link != &g->kept) {
        leat_http_form *form = LEAT_CONTAINER_OF(link, leat_http_form, link);
        link = link->next;
        if (form->state != FORM_MAKING && form->holders == 0)
            drop(form);
    }
    return bytes <= g->max_bytes && g->bytes <= g->max_bytes - bytes;
}

static bool compress(const leat_http_form *form, leat_gzip *z, leat_buf *out)
{
    char *piece = leat_calloc(1, READ_BYTES);
    size_t at = 0;
    ssize_t n = 0;
    bool ok = true;
    do {
        n = pread(form->fd, piece, READ_BYTES, (off_t)at);
        at += n > 0 ? (size_t)n : 0;
        ok = n >= 0 && leat_gzip_feed(z, (leat_slice){piece, (size_t)n}, n == 0, out);
    } while (ok && n > 0);
    free(piece);
    return ok && at == form->size && out->len < form->size;
}

/* On the thread pool. */
static void compress_file(uv_work_t *work)
{
    leat_http_form *form = work->data;
    leat_gzip *z = leat_gzip_new(form->owner->level, form->size);
    leat_buf out = LEAT_BUF_INIT;
    if (compress(form, z, &out))
        form->text = (leat_slice){leat_memdup(out.at, out.len), out.len};
    leat_buf_close(&out);
    leat_gzip_free(z);
}

static void on_compressed(uv_work_t *work, int status)
{
    (void)status; /* nothing cancels it */
    leat_http_form *form = work->data;
    leat_list waits;
    leat_list_init(&waits);
    close(form->fd);
    form->state = form->text.at != NULL ? FORM_READY : FORM_USELESS;
    count(form, fixed_bytes(form) + form->text.len);
    leat_list_move(&waits, &form->waits);
    for (leat_list *link = waits.next; link != &waits; link = link->next)
        form->holders += form->state == FORM_READY;
    leat_http_form *held = form->state == FORM_READY ? form : NULL;
    for (leat_list *link; (link = leat_list_shift(&waits)) != NULL;) {
        leat_http_form_wait *w = LEAT_CONTAINER_OF(link, leat_http_form_wait, link);
        w->cb(w, held);
    }
}

/* NULL if there is no room for it. */
static leat_http_form *make(leat_http_gzip *g, leat_slice key, int fd, size_t size)
{
    if (!make_room(g, sizeof(leat_http_form) + key.len + size))
        return NULL;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return NULL;
    leat_http_form *form = leat_calloc(1, sizeof(*form));
    form->owner = g;
    form->key = leat_memdup(key.at, key.len);
    form->fd = own;
    form->size = size;
    form->state = FORM_MAKING;
    form->work.data = form;
    leat_list_init(&form->waits);
    leat_map_add(&g->map, &form->entry, (leat_slice){form->key, key.len});
    leat_list_push(&g->kept, &form->link);
    count(form, fixed_bytes(form) + size);
    int err = uv_queue_work(leat_loop_uv(g->loop), &form->work, compress_file, on_compressed);
    LEAT_ASSERT(err == 0); /* fails only without a function to run */
    return form;
}

static leat_http_gzip_answer answer(leat_http_form *form, leat_http_form_wait *w,
                                    leat_http_form **out)
{
    switch (form->state) {
    case FORM_MAKING:
        leat_list_push(&form->waits, &w->link);
        return LEAT_HTTP_GZIP_WAIT;
    case FORM_READY:
        form->holders++;
        *out = form;
        return LEAT_HTTP_GZIP_HELD;
    case FORM_USELESS:
        break;
    }
    return LEAT_HTTP_GZIP_NONE;
}

leat_http_gzip_answer leat_http_gzip_ask(leat_http_gzip *g, leat_slice key, int fd, size_t size,
                                         leat_http_form_wait *w, leat_http_form **form)
{
    leat_map_entry *entry = leat_map_get(&g->map, key);
    leat_http_form *found =
        entry == NULL ? make(g, key, fd, size) : LEAT_CONTAINER_OF(entry, leat_http_form, entry);
    if (found == NULL) {
        leat_metrics_add(g->metrics, LEAT_M_GZIP_NO_ROOM, 1);
        return LEAT_HTTP_GZIP_NONE;
    }
    leat_list_unlink(&found->link);
    leat_list_push(&g->kept, &found->link);
    return answer(found, w, form);
}

leat_slice leat_http_form_bytes(const leat_http_form *form)
{
    return form->text;
}

void leat_http_form_release(leat_http_form *form)
{
    if (form != NULL)
        form->holders--;
}
