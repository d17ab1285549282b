/* jwt_json.c - the names of all members are written down, with the number of their object, sorted,
 * and compared with their neighbours: so a text with many names costs little more than its length.
 */
#include "wire/jwt_json.h"

#include <stdlib.h>

#include "wire/json.h"

struct name {
    size_t object;
    size_t at; /* offset in names */
    size_t len;
};

struct check {
    leat_json_reader reader;
    leat_buf names;   /* decoded, one after the other */
    leat_buf entries; /* struct name */
    size_t n_objects;
    size_t open[LEAT_JSON_MAX_DEPTH]; /* the number of the object at each depth */
};

static void note(struct check *c)
{
    leat_slice text = c->reader.text;
    struct name n = {c->open[c->reader.depth - 1], c->names.len, text.len};
    leat_buf_append(&c->names, text.at, text.len);
    leat_buf_append(&c->entries, &n, sizeof(n));
}

static int compare(const void *left, const void *right, void *names)
{
    const struct name *a = left;
    const struct name *b = right;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    const char *at = names;
    return a->len == 0 ? 0 : memcmp(at + a->at, at + b->at, a->len);
}

static bool are_unique(struct check *c)
{
    size_t n = c->entries.len / sizeof(struct name);
    struct name *entries = (struct name *)(void *)c->entries.at;
    if (n < 2)
        return true;
    qsort_r(entries, n, sizeof(*entries), compare, c->names.at);
    for (size_t i = 1; i < n; i++)
        if (compare(&entries[i - 1], &entries[i], c->names.at) == 0)
            return false;
    return true;
}

static int walk(struct check *c)
{
    leat_json_token token = LEAT_JSON_END;
    int err = leat_json_next(&c->reader, &token);
    if (err == 0 && token != LEAT_JSON_OBJECT_BEGIN)
        return LEAT_EBADMSG;
    for (; err == 0 && token != LEAT_JSON_END; err = leat_json_next(&c->reader, &token)) {
        if (token == LEAT_JSON_OBJECT_BEGIN)
            c->open[c->reader.depth - 1] = c->n_objects++;
        else if (token == LEAT_JSON_KEY)
            note(c);
    }
    return err < 0 ? LEAT_EBADMSG : 0;
}

int leat_jwt_json_check(leat_slice text, uint32_t max_depth)
{
    struct check c = {.names = LEAT_BUF_INIT};
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(&c.reader, text, &scratch, max_depth);
    int err = walk(&c);
    if (err == 0 && !are_unique(&c))
        err = LEAT_EBADMSG;
    leat_buf_close(&scratch);
    leat_buf_close(&c.names);
    leat_buf_close(&c.entries);
    return err;
}
