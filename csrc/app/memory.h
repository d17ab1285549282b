/* memory.h - gives freed memory back to the system after a peak.
 *
 * Ownership  embedded in the server.
 * Threads    main thread, which blocks meanwhile; the allocator locks one arena after another
 *            while it searches it.
 * Units      bytes.
 * Errors     none: where the allocator or the system does not tell the sizes, nothing happens.
 *
 * glibc never gives back freed memory that lies between blocks in use: after 10,000 connections
 * have come and gone, that is hundreds of megabytes.
 */
#ifndef LEAT_APP_MEMORY_H
#define LEAT_APP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct leat_memory {
    size_t floor_; /* idle bytes that stayed when memory was last given back */
    size_t last_;  /* resident bytes at the last call */
} leat_memory;

enum {
    LEAT_MEMORY_LOOK_MS = 5000,
};

/* Call it every LEAT_MEMORY_LOOK_MS. It gives free memory back if there is much of it and the
 * process has not grown since the last call. */
void leat_memory_look(leat_memory *m);

#endif
