/* mem.h - allocations of a size that Leat itself chose.
 *
 * Ownership  the caller owns what is returned and releases it with free().
 * Threads    any.
 * Units      bytes.
 * Errors     none return NULL: out of memory aborts. A size that a peer chooses is checked against
 *            a configured limit first.
 */
#ifndef LEAT_BASE_MEM_H
#define LEAT_BASE_MEM_H

#include <stddef.h>

/* For a large local buffer of a hot path that is written before it is read: a hardened build, which
 * clears local variables, leaves it alone. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define LEAT_UNINITIALIZED __attribute__((uninitialized))
#endif
#endif
#ifndef LEAT_UNINITIALIZED
#define LEAT_UNINITIALIZED
#endif

/* Zeroed memory for n objects of the given size. */
void *leat_calloc(size_t n, size_t size);

/* Grown or shrunk memory; contents as realloc(3). */
void *leat_realloc(void *p, size_t size);

/* A copy of len bytes, with a zero byte after them. */
char *leat_memdup(const char *bytes, size_t len);

/* A copy of a C string. */
char *leat_strdup(const char *text);

#endif
