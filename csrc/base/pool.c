/* pool.c - objects of one size (a class) lie in chunks. A chunk is aligned to its own size, so that
 * an object's address tells its chunk. A class has a list of its chunks that have room; the first
 * one is used until it is full. The last chunk of a class stays when it is empty, so that objects
 * that come and go one by one do not make the system map and unmap memory.
 *
 * The chunks of a bounded pool lie in one range of addresses, its room, so that an object's address
 * tells whether it lies in a chunk.
 */
#include "base/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "base/container_of.h"
#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    CHUNK_BYTES = 64 * 1024,
    STEP = 8, /* between the sizes of two classes */
    CLASSES = LEAT_POOL_MAX / STEP,
};

typedef struct free_object {
    struct free_object *next;
} free_object;

typedef struct chunk {
    leat_list link;     /* in its class's list, while it has room */
    free_object *given; /* back */
    uint32_t size;      /* of an object */
    uint32_t fresh_at;  /* from here on nothing was ever taken */
    uint32_t used;
} chunk;

/* The addresses of a bounded pool's chunks. */
typedef struct room {
    char *at;
    size_t n_places;
    size_t n_fresh; /* places from the first one on that a chunk was ever at */
    char **left;    /* places of chunks that are gone */
    size_t n_left;
    char *reserved; /* what was mapped, of which the room is the aligned part */
    size_t reserved_bytes;
} room;

struct leat_pool {
    bool plain;
    bool bounded;
    size_t n_chunks;
    size_t n_plain; /* objects that are malloc's own */
    room room;
    leat_list roomy[CLASSES];
};

leat_pool *leat_pool_new(int plain)
{
    leat_pool *p = leat_calloc(1, sizeof(*p));
    p->plain = plain != 0;
    for (int i = 0; i < CLASSES; i++)
        leat_list_init(&p->roomy[i]);
    return p;
}

static size_t to_boundary(const char *at)
{
    return (CHUNK_BYTES - (uintptr_t)at % CHUNK_BYTES) % CHUNK_BYTES;
}

/* Takes addresses, and no memory yet. Without them all objects are malloc's. */
static void reserve(room *r, size_t n_places)
{
    r->reserved_bytes = (n_places + 1) * CHUNK_BYTES;
    r->reserved = mmap(NULL, r->reserved_bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->reserved == MAP_FAILED) {
        r->reserved = NULL;
        return;
    }
    r->at = r->reserved + to_boundary(r->reserved);
    r->n_places = n_places;
    r->left = leat_calloc(n_places + 1, sizeof(*r->left));
}

leat_pool *leat_pool_new_bounded(int plain, size_t max_bytes)
{
    leat_pool *p = leat_pool_new(plain);
    p->bounded = true;
    if (!p->plain)
        reserve(&p->room, max_bytes / CHUNK_BYTES);
    return p;
}

/* Returns NULL if the room is full. */
static char *take_place(room *r)
{
    if (r->n_left > 0)
        return r->left[--r->n_left];
    char *at = r->at + r->n_fresh * CHUNK_BYTES;
    if (r->n_fresh == r->n_places || mprotect(at, CHUNK_BYTES, PROT_READ | PROT_WRITE) < 0)
        return NULL;
    r->n_fresh++;
    return at;
}

/* The memory goes back to the system, and is zeroed when it is used again. */
static void leave_place(room *r, char *at)
{
    int err = madvise(at, CHUNK_BYTES, MADV_DONTNEED);
    LEAT_ASSERT(err == 0);
    r->left[r->n_left++] = at;
}

static bool is_mallocs(const leat_pool *p, const void *object)
{
    const room *r = &p->room;
    uintptr_t at = (uintptr_t)object, from = (uintptr_t)r->at;
    return p->plain || (p->bounded && (at < from || at - from >= r->n_places * CHUNK_BYTES));
}

static chunk *first_of(leat_list *roomy)
{
    return LEAT_CONTAINER_OF(roomy->next, chunk, link);
}

static void unmap(leat_pool *p, chunk *c)
{
    leat_list_unlink(&c->link);
    if (p->bounded)
        leave_place(&p->room, (char *)c);
    else
        munmap(c, CHUNK_BYTES);
    p->n_chunks--;
}

void leat_pool_free(leat_pool *p)
{
    LEAT_ASSERT(p->n_plain == 0);
    for (int i = 0; i < CLASSES; i++)
        while (!leat_list_empty(&p->roomy[i])) {
            LEAT_ASSERT(first_of(&p->roomy[i])->used == 0);
            unmap(p, first_of(&p->roomy[i]));
        }
    LEAT_ASSERT(p->n_chunks == 0);
    if (p->room.reserved != NULL)
        munmap(p->room.reserved, p->room.reserved_bytes);
    free(p->room.left);
    free(p);
}

/* Maps twice as much, and gives back what lies before and behind the aligned part. */
static char *map_chunk(void)
{
    char *at =
        mmap(NULL, 2 * CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    LEAT_ASSERT(at != MAP_FAILED);
    size_t before = to_boundary(at);
    if (before > 0)
        munmap(at, before);
    munmap(at + before + CHUNK_BYTES, CHUNK_BYTES - before);
    return at + before;
}

/* Returns false if there is no room for another chunk. */
static bool add_chunk(leat_pool *p, leat_list *roomy, size_t size)
{
    chunk *c = (chunk *)(p->bounded ? take_place(&p->room) : map_chunk());
    if (c == NULL)
        return false;
    leat_list_init(&c->link);
    c->given = NULL;
    c->size = (uint32_t)size;
    c->fresh_at = (sizeof(*c) + STEP - 1) / STEP * STEP;
    c->used = 0;
    p->n_chunks++;
    leat_list_push(roomy, &c->link);
    return true;
}

static bool is_full(const chunk *c)
{
    return c->given == NULL && c->fresh_at + c->size > CHUNK_BYTES;
}

static void *take_from(chunk *c)
{
    void *object = c->given;
    c->used++;
    if (object != NULL) {
        c->given = c->given->next;
        return memset(object, 0, c->size);
    }
    object = (char *)c + c->fresh_at; /* zeroed by the system */
    c->fresh_at += c->size;
    return object;
}

void *leat_pool_take(leat_pool *p, size_t size)
{
    LEAT_ASSERT(size > 0 && size <= LEAT_POOL_MAX);
    size_t class = (size - 1) / STEP;
    leat_list *roomy = &p->roomy[class];
    if (p->plain || (leat_list_empty(roomy) && !add_chunk(p, roomy, (class + 1) * STEP))) {
        p->n_plain++;
        return leat_calloc(1, size);
    }
    chunk *c = first_of(roomy);
    void *object = take_from(c);
    if (is_full(c))
        leat_list_unlink(&c->link);
    return object;
}

static bool is_only(const leat_list *roomy, const chunk *c)
{
    return roomy->next == &c->link && roomy->prev == &c->link;
}

void leat_pool_give(leat_pool *p, void *object)
{
    if (object == NULL)
        return;
    if (is_mallocs(p, object)) {
        p->n_plain--;
        free(object);
        return;
    }
    chunk *c = (chunk *)((uintptr_t)object & ~(uintptr_t)(CHUNK_BYTES - 1));
    leat_list *roomy = &p->roomy[c->size / STEP - 1];
    if (is_full(c))
        leat_list_push(roomy, &c->link);
    free_object *given = object;
    given->next = c->given;
    c->given = given;
    c->used--;
    if (c->used == 0 && !is_only(roomy, c))
        unmap(p, c);
}

size_t leat_pool_bytes(const leat_pool *p)
{
    return p->n_chunks * CHUNK_BYTES;
}
