/* container_of.h - from a member to the object that it is part of.
 *
 * Ownership  none.
 * Threads    any.
 * Units      none.
 * Errors     a pointer of another type than the member's does not compile.
 */
#ifndef LEAT_BASE_CONTAINER_OF_H
#define LEAT_BASE_CONTAINER_OF_H

#include <stddef.h>

/* The object of the given type whose member is at ptr. The comparison only checks the type. */
#define LEAT_CONTAINER_OF(ptr, type, member)                                                       \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member) +                                       \
                      0 * sizeof((ptr) == &((type *)0)->member)))

#endif
