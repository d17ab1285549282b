/* memory.h - gives freed memory back to the system, so that a peak passes.
 *
 * Ownership  embedded in the server.
 * Threads    main thread, which does nothing else meanwhile; the allocator locks one arena after
 *            another, for as long as it looks through it.
 * Units      bytes.
 * Errors     none: where the allocator or the system cannot say, nothing happens.
 *
 * glibc keeps what lies freed between blocks that are in use, for ever: after 10,000 connections
 * came and went, hundreds of megabytes.
 */
#ifndef LEAT_APP_MEMORY_H
#define LEAT_APP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct leat_memory {
    size_t floor_; /* resident and not in use after the last time: it stays */
    size_t last_;  /* resident at the last look */
} leat_memory;

enum {
    LEAT_MEMORY_LOOK_MS = 5000,
};

/* To be called every LEAT_MEMORY_LOOK_MS. Gives free memory back if there is much of it, and if the
 * process has not grown since the last call. */
void leat_memory_look(leat_memory *m);

#endif
