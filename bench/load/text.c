/* text.c - doubles its room when it is full. */
#include "load/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tool.h"

static void make_room(text *t, size_t more)
{
    if (t->length + more + 1 <= t->size)
        return;
    t->size = 2 * (t->length + more + 1);
    t->bytes = tool_realloc(t->bytes, t->size);
}

void text_clear(text *t)
{
    t->length = 0;
}

void text_add(text *t, const char *bytes, size_t n)
{
    make_room(t, n);
    memcpy(t->bytes + t->length, bytes, n);
    t->length += n;
    t->bytes[t->length] = '\0';
}

void text_print(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    make_room(t, (size_t)n);
    va_start(args, format);
    vsnprintf(t->bytes + t->length, (size_t)n + 1, format, args);
    va_end(args);
    t->length += (size_t)n;
}

void text_free(text *t)
{
    free(t->bytes);
    *t = (text){0};
}
