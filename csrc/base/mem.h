/* mem.h - allocations whose size Leat itself chooses.
 *
 * Ownership  the caller owns the memory, and releases it with free().
 * Threads    any.
 * Units      bytes.
 * Errors     never NULL: without memory the process aborts. Check a size that a peer chooses
 *            against a configured limit first.
 */
#ifndef LEAT_BASE_MEM_H
#define LEAT_BASE_MEM_H

#include <stddef.h>

/* For a large local buffer on a hot path. A hardened build clears local variables, but not this
 * one; it must be written before it is read. */
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
