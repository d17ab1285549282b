/* render.c - leat_render writes the answer's members one below the other, then its tables
 * (render_table), whose columns are as wide as their widest cell (measure). */
#include "app/render.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { MAX_COLUMNS = 32, MAX_CELL = 200 };

/* --- one value --- */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static void write_bytes(leat_buf *out, double n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    while (n >= 1024 && i + 1 < sizeof(units) / sizeof(units[0])) {
        n /= 1024;
        i++;
    }
    leat_buf_printf(out, i == 0 || n >= 100 ? "%.0f %s" : "%.1f %s", n, units[i]);
}

static void write_seconds(leat_buf *out, double s)
{
    if (s <= 0)
        leat_buf_text(out, "0 s");
    else if (s < 1)
        leat_buf_printf(out, s * 1000 < 10 ? "%.2f ms" : "%.0f ms", s * 1000);
    else if (s < 120)
        leat_buf_printf(out, "%.1f s", s);
    else if (s < 7200)
        leat_buf_printf(out, "%.0f min", s / 60);
    else if (s < 172800)
        leat_buf_printf(out, "%.1f h", s / 3600);
    else
        leat_buf_printf(out, "%.1f days", s / 86400);
}

static void write_date(leat_buf *out, double seconds)
{
    char text[32];
    struct tm when;
    time_t at = (time_t)seconds;
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", gmtime_r(&at, &when));
    leat_buf_text(out, text);
}

void leat_render_number(leat_buf *out, const char *name, double n)
{
    if (ends_with(name, "_bytes"))
        write_bytes(out, n);
    else if (ends_with(name, "_per_s"))
        leat_buf_printf(out, "%.1f", n);
    else if (ends_with(name, "_ms"))
        write_seconds(out, n / 1000);
    else if (ends_with(name, "_s") || ends_with(name, "_seconds"))
        write_seconds(out, n);
    else if (ends_with(name, "_at") && strcmp(name, "looked_at") != 0) /* which is a count */
        write_date(out, n);
    else
        leat_buf_printf(out, "%.15g", n);
}

/* How many bytes at this place are a control character: of ASCII, or U+0080 to U+009F. */
static size_t control_at(const char *at, const char *end)
{
    if (iscntrl((unsigned char)*at))
        return 1;
    return (unsigned char)*at == 0xc2 && end - at >= 2 && (unsigned char)at[1] < 0xa0 ? 2 : 0;
}

static void write_shown(leat_buf *out, const char *text, size_t len)
{
    const char *end = text + len;
    for (const char *at = text; at < end; at++) {
        size_t control = control_at(at, end);
        leat_buf_char(out, control > 0 ? ' ' : *at);
        at += control == 2;
    }
}

void leat_render_text(leat_buf *out, const char *text)
{
    write_shown(out, text, strlen(text));
}

static void write_text(leat_buf *out, const char *text)
{
    size_t len = strlen(text);
    size_t shown = len < MAX_CELL ? len : MAX_CELL;
    while (shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--; /* to a character's end */
    write_shown(out, text, shown);
    if (len > shown)
        leat_buf_text(out, "...");
}

static void write_json(leat_buf *out, const leat_value *v)
{
    bool is_object = v->kind == LEAT_VALUE_OBJECT;
    if (v->kind == LEAT_VALUE_TEXT)
        leat_buf_printf(out, "\"%s\"", v->text);
    else if (v->first == NULL && v->kind < LEAT_VALUE_ARRAY)
        leat_buf_text(out, v->kind == LEAT_VALUE_NULL ? "null" : v->text);
    if (v->kind < LEAT_VALUE_ARRAY)
        return;
    leat_buf_char(out, is_object ? '{' : '[');
    for (const leat_value *m = v->first; m != NULL; m = m->next) {
        if (m != v->first)
            leat_buf_char(out, ',');
        if (is_object)
            leat_buf_printf(out, "\"%s\":", m->key);
        write_json(out, m);
    }
    leat_buf_char(out, is_object ? '}' : ']');
}

static void write_value(leat_buf *out, const leat_value *v)
{
    leat_buf whole = LEAT_BUF_INIT;
    switch (v->kind) {
    case LEAT_VALUE_NULL:
        leat_buf_char(out, '-');
        break;
    case LEAT_VALUE_BOOL:
        leat_buf_text(out, v->text[0] == 't' ? "yes" : "no");
        break;
    case LEAT_VALUE_NUMBER:
        leat_render_number(out, v->key == NULL ? "" : v->key, strtod(v->text, NULL));
        break;
    case LEAT_VALUE_TEXT:
        write_text(out, v->text);
        break;
    case LEAT_VALUE_ARRAY:
    case LEAT_VALUE_OBJECT:
        write_json(&whole, v);
        leat_buf_char(&whole, '\0');
        write_text(out, whole.at);
        leat_buf_close(&whole);
        break;
    }
}

static void write_title(leat_buf *out, const char *key, bool upper)
{
    for (; *key != '\0'; key++)
        leat_buf_char(out, *key == '_' ? ' ' : upper ? (char)toupper((unsigned char)*key) : *key);
}

/* Characters, not bytes. */
static size_t width_of(leat_slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    return n;
}

static void pad(leat_buf *out, size_t n)
{
    while (n-- > 0)
        leat_buf_char(out, ' ');
}

/* --- tables --- */

/* An array of objects, or an object of objects: then the rows have names. */
static bool is_table(const leat_value *v)
{
    return v->kind >= LEAT_VALUE_ARRAY && v->first != NULL && v->first->kind == LEAT_VALUE_OBJECT;
}

struct table {
    const char *keys[MAX_COLUMNS];
    size_t widths[MAX_COLUMNS];
    bool right[MAX_COLUMNS];
    size_t n;
    bool named;
    size_t name_width; /* of the rows */
};

/* Another row may have a table there (write_inner_tables), and this one an empty list. */
static bool has_inner_table(const leat_value *rows, const char *key)
{
    for (const leat_value *row = rows->first; row != NULL; row = row->next) {
        const leat_value *cell = leat_tree_member(row, key);
        if (cell != NULL && is_table(cell))
            return true;
    }
    return false;
}

static void add_column(struct table *t, const leat_value *rows, const leat_value *cell)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->keys[i], cell->key) == 0)
            return;
    if (t->n == MAX_COLUMNS || (t->named && cell->kind == LEAT_VALUE_ARRAY) ||
        has_inner_table(rows, cell->key))
        return;
    t->keys[t->n] = cell->key;
    t->right[t->n] = cell->kind == LEAT_VALUE_NUMBER;
    t->widths[t->n++] = strlen(cell->key);
}

static void measure_names(struct table *t, const leat_value *rows)
{
    t->named = rows->kind == LEAT_VALUE_OBJECT;
    for (const leat_value *row = rows->first; t->named && row != NULL; row = row->next)
        t->name_width = strlen(row->key) > t->name_width ? strlen(row->key) : t->name_width;
}

/* Writes the first column of a named row. name "": the title of that column. */
static void write_name(leat_buf *out, const struct table *t, const char *name)
{
    if (!t->named)
        return;
    write_title(out, name, false);
    pad(out, t->name_width - strlen(name) + 2);
}

static void measure(struct table *t, const leat_value *rows)
{
    measure_names(t, rows);
    for (const leat_value *row = rows->first; row != NULL; row = row->next)
        for (const leat_value *cell = row->first; cell != NULL; cell = cell->next)
            add_column(t, rows, cell);
    for (const leat_value *row = rows->first; row != NULL; row = row->next)
        for (size_t i = 0; i < t->n; i++) {
            leat_buf text = LEAT_BUF_INIT;
            const leat_value *cell = leat_tree_member(row, t->keys[i]);
            if (cell != NULL)
                write_value(&text, cell);
            size_t width = width_of(leat_buf_view(&text));
            t->widths[i] = width > t->widths[i] ? width : t->widths[i];
            leat_buf_close(&text);
        }
}

static void write_cell(leat_buf *out, const struct table *t, size_t i, leat_slice text)
{
    size_t gap = t->widths[i] - width_of(text);
    if (i > 0)
        leat_buf_text(out, "  ");
    if (t->right[i])
        pad(out, gap);
    leat_buf_slice(out, text);
    if (!t->right[i] && i + 1 < t->n)
        pad(out, gap);
}

static void render_table(leat_buf *out, const leat_value *rows)
{
    struct table t = {.n = 0};
    leat_buf text = LEAT_BUF_INIT;
    measure(&t, rows);
    write_name(out, &t, "");
    for (size_t i = 0; i < t.n; i++) {
        text.len = 0;
        write_title(&text, t.keys[i], true);
        write_cell(out, &t, i, leat_buf_view(&text));
    }
    leat_buf_char(out, '\n');
    for (const leat_value *row = rows->first; row != NULL; row = row->next) {
        write_name(out, &t, row->key);
        for (size_t i = 0; i < t.n; i++) {
            const leat_value *cell = leat_tree_member(row, t.keys[i]);
            text.len = 0;
            if (cell != NULL)
                write_value(&text, cell);
            write_cell(out, &t, i, leat_buf_view(&text));
        }
        leat_buf_char(out, '\n');
    }
    leat_buf_close(&text);
}

/* Tables inside the rows follow the table, each under a heading. */
static void write_inner_tables(leat_buf *out, const leat_value *rows)
{
    for (const leat_value *row = rows->first; row != NULL; row = row->next)
        for (const leat_value *cell = row->first; cell != NULL; cell = cell->next) {
            if (!is_table(cell))
                continue;
            leat_buf_char(out, '\n');
            write_title(out, cell->key, false);
            if (row->first->key != NULL && row->first->kind < LEAT_VALUE_ARRAY) {
                leat_buf_printf(out, " of %s ", row->first->key);
                write_text(out, row->first->text);
            }
            leat_buf_text(out, ":\n");
            render_table(out, cell);
        }
}

/* --- an answer --- */

static bool is_hidden(const char *key)
{
    return strcmp(key, "question") == 0 || strcmp(key, "at_ms") == 0 || strcmp(key, "silent") == 0;
}

static void write_silent(leat_buf *out, const leat_value *answer)
{
    const leat_value *silent = leat_tree_member(answer, "silent");
    for (const leat_value *w = silent == NULL ? NULL : silent->first; w != NULL; w = w->next)
        leat_buf_printf(out, "worker %s does not answer\n", w->text);
}

static size_t widest_key(const leat_value *answer)
{
    size_t widest = 0;
    for (const leat_value *m = answer->first; m != NULL; m = m->next)
        if (!is_hidden(m->key) && !is_table(m) && strlen(m->key) > widest)
            widest = strlen(m->key);
    return widest;
}

static bool is_list_of_texts(const leat_value *v)
{
    return v->kind == LEAT_VALUE_ARRAY && v->first != NULL && v->first->kind == LEAT_VALUE_TEXT;
}

/* Writes the texts one below the other, uncut: they are sentences that say what is wrong. */
static void write_texts(leat_buf *out, const leat_value *list, size_t indent)
{
    for (const leat_value *m = list->first; m != NULL; m = m->next) {
        if (m != list->first) {
            leat_buf_char(out, '\n');
            pad(out, indent);
        }
        leat_render_text(out, m->text);
    }
}

static bool write_members(leat_buf *out, const leat_value *answer)
{
    size_t widest = widest_key(answer);
    bool any = false;
    for (const leat_value *m = answer->first; m != NULL; m = m->next) {
        bool is_empty = m->kind == LEAT_VALUE_ARRAY && m->first == NULL;
        if (is_hidden(m->key) || is_table(m))
            continue;
        write_title(out, m->key, false);
        pad(out, widest - strlen(m->key) + 2);
        if (is_empty)
            leat_buf_text(out, "none");
        else if (is_list_of_texts(m))
            write_texts(out, m, widest + 2);
        else
            write_value(out, m);
        leat_buf_char(out, '\n');
        any = true;
    }
    return any;
}

void leat_render(leat_buf *out, const leat_value *answer)
{
    write_silent(out, answer);
    bool any = write_members(out, answer);
    for (const leat_value *m = answer->first; m != NULL; m = m->next) {
        if (!is_table(m))
            continue;
        if (any)
            leat_buf_char(out, '\n');
        render_table(out, m);
        write_inner_tables(out, m);
        any = true;
    }
}

void leat_render_json(leat_buf *out, leat_slice json)
{
    const char *end = json.at + json.len;
    for (const char *at = json.at; at < end; at++) {
        size_t control = control_at(at, end);
        unsigned last = (unsigned char)at[control == 2];
        if (control == 0 || last < 0x20) /* JSON's own white space */
            leat_buf_char(out, *at);
        else
            leat_buf_printf(out, "\\u%04x", last);
        at += control == 2;
    }
}
