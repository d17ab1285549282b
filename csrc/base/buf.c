/* buf.c - a buffer that is full doubles its room (leat_buf_reserve). The shortest functions are
 * inline, in the header. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    FIRST_CAP = 64,
};

void leat_buf_close(leat_buf *b)
{
    free(b->at);
    *b = LEAT_BUF_INIT;
}

char *leat_buf_reserve(leat_buf *b, size_t extra)
{
    if (extra <= b->cap - b->len && b->at != NULL)
        return b->at + b->len;
    LEAT_ASSERT(extra < SIZE_MAX / 2 && b->len < SIZE_MAX / 2);
    size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap * 2;
    if (cap < b->len + extra)
        cap = b->len + extra;
    b->at = leat_realloc(b->at, cap);
    b->cap = cap;
    return b->at + b->len;
}

void leat_buf_int(leat_buf *b, int64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (n < 0)
        digits[--at] = '-';
    leat_buf_append(b, digits + at, sizeof(digits) - at);
}

void leat_buf_printf(leat_buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    char *at = leat_buf_reserve(b, FIRST_CAP);
    size_t room = b->cap - b->len;
    int len = vsnprintf(at, room, format, args);
    LEAT_ASSERT(len >= 0);
    if ((size_t)len >= room) {
        at = leat_buf_reserve(b, (size_t)len + 1);
        vsnprintf(at, (size_t)len + 1, format, again);
    }
    b->len += (size_t)len;
    va_end(again);
    va_end(args);
}

void leat_buf_consume(leat_buf *b, size_t n)
{
    LEAT_ASSERT(n <= b->len);
    b->len -= n;
    if (n > 0 && b->len > 0)
        memmove(b->at, b->at + n, b->len);
}

char *leat_buf_detach(leat_buf *b, size_t *len)
{
    *leat_buf_reserve(b, 1) = '\0';
    char *at = b->at;
    if (len != NULL)
        *len = b->len;
    *b = LEAT_BUF_INIT;
    return at;
}
