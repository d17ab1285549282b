/* text.h - a string that grows.
 *
 * Ownership  the caller's struct; text_free frees what it holds.
 * Threads    one at a time.
 * Units      bytes.
 * Errors     out of memory ends the program.
 */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>

typedef struct text {
    char *bytes; /* ends with a zero byte, which is not counted */
    size_t length;
    size_t size;
} text;

void text_clear(text *t);
void text_add(text *t, const char *bytes, size_t n);
void text_print(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_free(text *t);

#endif
