/* buf.h - a byte buffer that grows.
 *
 * Ownership  the buffer owns its bytes until _close or _detach.
 * Threads    the owner's.
 * Units      bytes.
 * Errors     appending never fails (without memory the process aborts). Bound what a peer sends
 *            before you append it.
 */
#ifndef LEAT_BASE_BUF_H
#define LEAT_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

typedef struct leat_buf {
    char *at; /* NULL until something is appended */
    size_t len;
    size_t cap;
} leat_buf;

#define LEAT_BUF_INIT ((leat_buf){NULL, 0, 0})

/* Frees the bytes; the buffer is empty and usable afterwards. */
void leat_buf_close(leat_buf *b);

/* Makes room for at least extra more bytes and returns its address. The caller writes there, and
 * adds the number of bytes to b->len. */
char *leat_buf_reserve(leat_buf *b, size_t extra);

void leat_buf_append(leat_buf *b, const void *bytes, size_t len);
void leat_buf_text(leat_buf *b, const char *text);
void leat_buf_slice(leat_buf *b, leat_slice s);
void leat_buf_char(leat_buf *b, char c);
void leat_buf_int(leat_buf *b, int64_t n);
void leat_buf_printf(leat_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first n bytes (n <= len) and moves the rest to the front. */
void leat_buf_consume(leat_buf *b, size_t n);

/* Returns the bytes with a terminator; the caller must free() them. Empties the buffer. len may be
 * NULL. */
char *leat_buf_detach(leat_buf *b, size_t *len);

static inline leat_slice leat_buf_view(const leat_buf *b)
{
    return (leat_slice){b->at, b->len};
}

#endif
