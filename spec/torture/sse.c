/* sse.c - lines up to an empty one; the server writes no field twice and no other. */
#include "sse.h"

#include <string.h>

static bool take_field(sse_event *e, leat_slice line)
{
    static const char *const names[] = {"event: ", "id: ", "data: "};
    leat_slice *const fields[] = {&e->event, &e->id, &e->data};
    if (line.at[0] == ':')
        return true;
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(names[i]);
        if (line.len < n || memcmp(line.at, names[i], n) != 0)
            continue;
        bool twice = fields[i]->at != NULL;
        *fields[i] = (leat_slice){line.at + n, line.len - n};
        return !twice;
    }
    return false;
}

long sse_cut(sse_event *e, leat_slice bytes)
{
    const char *end = bytes.len < 2 ? NULL : memmem(bytes.at, bytes.len, "\n\n", 2);
    *e = (sse_event){.event.at = NULL};
    if (end == NULL)
        return 0;
    for (const char *at = bytes.at; at < end + 1;) {
        const char *newline = memchr(at, '\n', (size_t)(end + 1 - at));
        if (newline == at || !take_field(e, (leat_slice){at, (size_t)(newline - at)}))
            return -1;
        at = newline + 1;
    }
    return (long)(end + 2 - bytes.at);
}
