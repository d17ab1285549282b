#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

void *leat_calloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);
    LEAT_ASSERT(p != NULL);
    return p;
}

void *leat_realloc(void *p, size_t size)
{
    void *grown = realloc(p, size > 0 ? size : 1);
    LEAT_ASSERT(grown != NULL);
    return grown;
}

char *leat_memdup(const char *bytes, size_t len)
{
    LEAT_ASSERT(len < SIZE_MAX);
    char *copy = malloc(len + 1);
    LEAT_ASSERT(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

char *leat_strdup(const char *text)
{
    return leat_memdup(text, strlen(text));
}
