#include "app/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

enum { MAX_DEPTH = 32 };

static leat_value *read_value(leat_json_reader *r, leat_json_token token);

static leat_value *new_value(leat_value_kind kind, leat_slice text)
{
    leat_value *v = leat_calloc(1, sizeof(*v));
    v->kind = kind;
    v->text = leat_memdup(text.len > 0 ? text.at : "", text.len);
    return v;
}

/* Returns false if the text is malformed. What was read so far hangs from v. */
static bool read_children(leat_value *v, leat_json_reader *r, leat_json_token end)
{
    leat_json_token token;
    for (leat_value **to = &v->first; leat_json_next(r, &token) == 0; to = &(*to)->next) {
        char *key = NULL;
        if (token == end)
            return true;
        if (token == LEAT_JSON_KEY) {
            key = leat_memdup(r->text.len > 0 ? r->text.at : "", r->text.len);
            if (leat_json_next(r, &token) < 0) {
                free(key);
                return false;
            }
        }
        *to = read_value(r, token);
        if (*to == NULL) {
            free(key);
            return false;
        }
        (*to)->key = key;
    }
    return false;
}

static leat_value *read_container(leat_json_reader *r, leat_value_kind kind, leat_json_token end)
{
    leat_value *v = new_value(kind, leat_slice_of(""));
    if (read_children(v, r, end))
        return v;
    leat_tree_free(v);
    return NULL;
}

static leat_value *read_value(leat_json_reader *r, leat_json_token token)
{
    switch (token) {
    case LEAT_JSON_NULL:
        return new_value(LEAT_VALUE_NULL, leat_slice_of(""));
    case LEAT_JSON_TRUE:
        return new_value(LEAT_VALUE_BOOL, leat_slice_of("true"));
    case LEAT_JSON_FALSE:
        return new_value(LEAT_VALUE_BOOL, leat_slice_of("false"));
    case LEAT_JSON_NUMBER:
        return new_value(LEAT_VALUE_NUMBER, r->text);
    case LEAT_JSON_STRING:
        return new_value(LEAT_VALUE_TEXT, r->text);
    case LEAT_JSON_OBJECT_BEGIN:
        return read_container(r, LEAT_VALUE_OBJECT, LEAT_JSON_OBJECT_END);
    case LEAT_JSON_ARRAY_BEGIN:
        return read_container(r, LEAT_VALUE_ARRAY, LEAT_JSON_ARRAY_END);
    case LEAT_JSON_KEY:
    case LEAT_JSON_OBJECT_END:
    case LEAT_JSON_ARRAY_END:
    case LEAT_JSON_END:
        break;
    }
    return NULL;
}

leat_value *leat_tree_parse(leat_slice json)
{
    leat_json_reader r;
    leat_json_token token;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(&r, json, &scratch, MAX_DEPTH);
    leat_value *v = leat_json_next(&r, &token) == 0 ? read_value(&r, token) : NULL;
    leat_buf_close(&scratch);
    return v;
}

void leat_tree_free(leat_value *v)
{
    if (v == NULL)
        return;
    for (leat_value *child = v->first; child != NULL;) {
        leat_value *next = child->next;
        leat_tree_free(child);
        child = next;
    }
    free(v->key);
    free(v->text);
    free(v);
}

const leat_value *leat_tree_member(const leat_value *v, const char *key)
{
    if (v == NULL || v->kind != LEAT_VALUE_OBJECT)
        return NULL;
    const leat_value *m = v->first;
    while (m != NULL && strcmp(m->key, key) != 0)
        m = m->next;
    return m;
}

const char *leat_tree_text(const leat_value *v, const char *key)
{
    const leat_value *m = leat_tree_member(v, key);
    return m == NULL ? "" : m->text;
}

double leat_tree_number(const leat_value *v, const char *key)
{
    const leat_value *m = leat_tree_member(v, key);
    return m == NULL || m->kind != LEAT_VALUE_NUMBER ? 0 : strtod(m->text, NULL);
}

leat_slice leat_tree_raw(leat_slice json, const char *key)
{
    leat_json_reader r;
    leat_json_token token;
    leat_slice raw = {NULL, 0};
    leat_buf scratch = LEAT_BUF_INIT;
    bool found = false;
    leat_json_reader_init(&r, json, &scratch, LEAT_JSON_MAX_DEPTH);
    bool good = leat_json_next(&r, &token) == 0 && token == LEAT_JSON_OBJECT_BEGIN;
    while (good && !found && leat_json_next(&r, &token) == 0 && token == LEAT_JSON_KEY) {
        found = leat_slice_is(r.text, key);
        good = leat_json_skip(&r, &raw) == 0;
    }
    leat_buf_close(&scratch);
    return good && found ? raw : (leat_slice){NULL, 0};
}
