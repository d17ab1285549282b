/* sse.h - Server-Sent Events, the client's half.
 *
 * Ownership  slices point into the bytes parsed.
 * Threads    any.
 * Units      bytes.
 * Errors     -1: nothing that this server sends.
 */
#ifndef TORTURE_SSE_H
#define TORTURE_SSE_H

#include "base/slice.h"

typedef struct sse_event {
    leat_slice event, id, data; /* at NULL: no such field */
} sse_event;

/* The first whole event of the bytes, and how many it takes; 0: none yet. One without fields is a
 * comment. */
long sse_cut(sse_event *e, leat_slice bytes);

#endif
