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
#include <string.h>

#include "base/err.h"
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

static inline void leat_buf_append(leat_buf *b, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    char *to = len <= b->cap - b->len ? b->at + b->len : leat_buf_reserve(b, len);
    LEAT_ASSUME(to != NULL && bytes != NULL);
    memcpy(to, bytes, len);
    b->len += len;
}

static inline void leat_buf_text(leat_buf *b, const char *text)
{
    leat_buf_append(b, text, strlen(text));
}

static inline void leat_buf_slice(leat_buf *b, leat_slice s)
{
    leat_buf_append(b, s.at, s.len);
}

static inline void leat_buf_char(leat_buf *b, char c)
{
    *(b->len < b->cap ? b->at + b->len : leat_buf_reserve(b, 1)) = c;
    b->len++;
}

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
