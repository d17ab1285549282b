/* pool.h - small objects that come and go in great numbers: one of each kind a connection.
 *
 * Ownership  an object belongs to who has taken it, until it is given back. When the pool is freed,
 *            all objects have been given back.
 * Threads    one.
 * Units      bytes.
 * Errors     none (out of memory aborts).
 *
 * An object has no header, and objects of one size lie side by side. So a hundred thousand of them
 * take less memory than malloc's would, and leave no holes between other things when they go. A
 * chunk without objects is given back to the system.
 *
 * But a chunk stays while one object in it does, and serves objects of one size only. A pool whose
 * objects come in many sizes, at the will of a script, is bounded therefore: what its chunks do not
 * hold is malloc's.
 */
#ifndef LEAT_BASE_POOL_H
#define LEAT_BASE_POOL_H

#include <stddef.h>

typedef struct leat_pool leat_pool;

enum {
    LEAT_POOL_MAX = 1024, /* of one object */
};

/* plain: each object is malloc's own, so that a sanitizer or valgrind watches over it. */
leat_pool *leat_pool_new(int plain);
/* Its chunks take at most max_bytes. */
leat_pool *leat_pool_new_bounded(int plain, size_t max_bytes);
void leat_pool_free(leat_pool *p);

/* Returns zeroed memory. */
void *leat_pool_take(leat_pool *p, size_t size);
/* NULL is allowed. */
void leat_pool_give(leat_pool *p, void *object);

/* Returns the bytes of the pool's chunks. */
size_t leat_pool_bytes(const leat_pool *p);

#endif
