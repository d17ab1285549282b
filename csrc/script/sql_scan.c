/* sql_scan.c - the text is read twice, token by token: first for the strings that variables hold,
 * then for the calls. Each call's argument is evaluated as far as it consists of strings, such
 * variables, and `..`. */
#include "script/sql_scan.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/container_of.h"
#include "base/map.h"
#include "base/mem.h"

typedef enum token_kind { END, NAME, STRING, CONCAT, SIGN } token_kind;

typedef struct token {
    token_kind kind;
    leat_slice text; /* NAME; of a SIGN its one byte */
    int line;        /* where it begins */
} token;

typedef struct lexer {
    const char *at;
    const char *end;
    int line;
    leat_buf string; /* of the last STRING, decoded */
    token now;       /* the token that was read last */
} lexer;

/* A variable that holds a string. One that is given twice holds nothing. */
typedef struct constant {
    leat_map_entry entry;
    bool is_known;
    leat_buf value;
    char name[];
} constant;

typedef struct scanner {
    lexer lex;
    leat_map constants;
    const leat_sql_scan *scan;
} scanner;

/* --- tokens --- */

static bool is_at(const lexer *x, char c)
{
    return x->at < x->end && *x->at == c;
}

static void step(lexer *x)
{
    x->line += *x->at == '\n';
    x->at++;
}

/* At '[': the number of '=' of a long bracket, -1 if it is none. */
static int long_level(const lexer *x)
{
    const char *p = x->at + 1;
    int level = 0;
    while (p < x->end && *p == '=') {
        level++;
        p++;
    }
    return p < x->end && *p == '[' ? level : -1;
}

static bool closes(const lexer *x, int level)
{
    const char *p = x->at + 1;
    if (!is_at(x, ']') || x->end - x->at < level + 2)
        return false;
    for (int i = 0; i < level; i++)
        if (*p++ != '=')
            return false;
    return *p == ']';
}

/* Reads what is inside of a long bracket into string. */
static void read_long(lexer *x, int level)
{
    x->at += level + 2;
    if (is_at(x, '\n'))
        step(x);
    while (x->at < x->end && !closes(x, level)) {
        leat_buf_char(&x->string, *x->at);
        step(x);
    }
    x->at = x->end - x->at < level + 2 ? x->end : x->at + level + 2;
}

static void skip_comment(lexer *x)
{
    x->at += 2;
    int level = is_at(x, '[') ? long_level(x) : -1;
    if (level >= 0) {
        read_long(x, level);
        return;
    }
    while (x->at < x->end && *x->at != '\n')
        x->at++;
}

static unsigned digits(lexer *x, int base, int most)
{
    unsigned n = 0;
    for (int i = 0; i < most && x->at < x->end; i++, x->at++) {
        char c = (char)tolower((unsigned char)*x->at);
        int digit = isdigit((unsigned char)c)    ? c - '0'
                    : isxdigit((unsigned char)c) ? c - 'a' + 10
                                                 : base;
        if (digit >= base)
            break;
        n = n * (unsigned)base + (unsigned)digit;
    }
    return n;
}

/* A character that is written by its number matters to no statement. */
static void skip_code_point(lexer *x)
{
    while (x->at < x->end && *x->at != '}' && *x->at != '\n')
        x->at++;
    x->at += is_at(x, '}');
    leat_buf_char(&x->string, '?');
}

/* Behind a backslash. */
static void read_escape(lexer *x)
{
    static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
    char c = *x->at;
    const char *known = strchr(from, c);
    if (isdigit((unsigned char)c)) {
        leat_buf_char(&x->string, (char)digits(x, 10, 3));
        return;
    }
    step(x);
    if (c == 'x')
        leat_buf_char(&x->string, (char)digits(x, 16, 2));
    else if (c == 'u')
        skip_code_point(x);
    else if (c == 'z')
        while (x->at < x->end && isspace((unsigned char)*x->at))
            step(x);
    else
        leat_buf_char(&x->string, known != NULL && c != '\0' ? to[known - from] : c);
}

static void read_quoted(lexer *x)
{
    char quote = *x->at++;
    while (x->at < x->end && *x->at != quote && *x->at != '\n') {
        char c = *x->at;
        step(x);
        if (c == '\\' && x->at < x->end)
            read_escape(x);
        else
            leat_buf_char(&x->string, c);
    }
    x->at += is_at(x, quote);
}

static void skip_blank(lexer *x)
{
    while (x->at < x->end) {
        if (isspace((unsigned char)*x->at))
            step(x);
        else if (*x->at == '-' && x->end - x->at > 1 && x->at[1] == '-')
            skip_comment(x);
        else
            return;
    }
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void take_sign(lexer *x)
{
    bool concat = x->end - x->at > 1 && x->at[0] == '.' && x->at[1] == '.';
    bool dots = concat && x->end - x->at > 2 && x->at[2] == '.';
    x->now.kind = concat && !dots ? CONCAT : SIGN;
    x->now.text = (leat_slice){x->at, 1};
    x->at += dots ? 3 : concat ? 2 : 1;
}

/* Reads the next token into now. */
static void next(lexer *x)
{
    skip_blank(x);
    x->now = (token){.kind = END, .line = x->line};
    if (x->at == x->end)
        return;
    int level = *x->at == '[' ? long_level(x) : -1;
    if (*x->at == '"' || *x->at == '\'' || level >= 0) {
        x->now.kind = STRING;
        x->string.len = 0;
        if (level >= 0)
            read_long(x, level);
        else
            read_quoted(x);
    } else if (is_name_byte(*x->at)) {
        const char *from = x->at;
        while (x->at < x->end && is_name_byte(*x->at))
            x->at++;
        x->now.kind = NAME;
        x->now.text = (leat_slice){from, (size_t)(x->at - from)};
    } else {
        take_sign(x);
    }
}

static bool is_name(const lexer *x, const char *name)
{
    return x->now.kind == NAME && leat_slice_is(x->now.text, name);
}

static bool is_sign(const lexer *x, char c)
{
    return x->now.kind == SIGN && x->now.text.at[0] == c;
}

/* --- what variables hold --- */

static const constant *find(scanner *s, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&s->constants, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, constant, entry);
}

/* Takes the value. */
static void define(scanner *s, leat_slice name, leat_buf *value, bool is_known)
{
    leat_map_entry *e = leat_map_get(&s->constants, name);
    if (e != NULL) {
        LEAT_CONTAINER_OF(e, constant, entry)->is_known = false;
        leat_buf_close(value);
        return;
    }
    constant *c = leat_calloc(1, sizeof(*c) + name.len + 1);
    memcpy(c->name, name.at, name.len);
    c->is_known = is_known;
    c->value = *value;
    leat_map_add(&s->constants, &c->entry, (leat_slice){c->name, name.len});
}

typedef struct expression {
    leat_buf value;
    bool has_string;
    bool has_unknown;
} expression;

/* The operand that stands at the current token; afterwards the token behind it is current. What is
 * in brackets, a call or a field is unknown. */
static void read_operand(scanner *s, expression *e)
{
    lexer *x = &s->lex;
    const constant *held = x->now.kind == NAME ? find(s, x->now.text) : NULL;
    if (x->now.kind == STRING) {
        leat_buf_slice(&e->value, leat_buf_view(&x->string));
        e->has_string = true;
        next(x);
    } else if (held != NULL && held->is_known) {
        leat_buf_slice(&e->value, leat_buf_view(&held->value));
        e->has_string = true;
        next(x);
    } else {
        e->has_unknown = true;
        if (is_sign(x, '('))
            next(x);
        e->has_string = e->has_string || x->now.kind == STRING;
        next(x);
    }
    if (is_sign(x, '(') || is_sign(x, ':') || is_sign(x, '.') || is_sign(x, '['))
        e->has_unknown = true;
}

/* STRING .. NAME .. STRING */
static expression read_expression(scanner *s)
{
    expression e = {.value = LEAT_BUF_INIT};
    read_operand(s, &e);
    while (s->lex.now.kind == CONCAT) {
        next(&s->lex);
        read_operand(s, &e);
    }
    return e;
}

/* Behind `local NAME`: an attribute, and the value. */
static void read_local(scanner *s)
{
    lexer *x = &s->lex;
    leat_slice name = x->now.text;
    next(x);
    if (is_sign(x, '<')) {
        next(x);
        next(x);
        next(x);
    }
    if (!is_sign(x, '='))
        return;
    next(x);
    expression e = read_expression(s);
    define(s, name, &e.value, e.has_string && !e.has_unknown);
}

/* NAME = VALUE without local: the variable holds more than one value. */
static void forget(scanner *s, leat_slice name)
{
    leat_buf nothing = LEAT_BUF_INIT;
    if (find(s, name) != NULL)
        define(s, name, &nothing, false);
}

static void begin(scanner *s, leat_slice text)
{
    s->lex.at = text.at;
    s->lex.end = text.at + text.len;
    s->lex.line = 1;
    next(&s->lex);
}

static void collect_constants(scanner *s)
{
    lexer *x = &s->lex;
    while (x->now.kind != END) {
        if (is_name(x, "local")) {
            next(x);
            if (x->now.kind == NAME && !is_name(x, "function"))
                read_local(s);
            continue;
        }
        leat_slice name = x->now.kind == NAME ? x->now.text : (leat_slice){NULL, 0};
        next(x);
        if (name.at != NULL && is_sign(x, '=')) {
            next(x);
            if (!is_sign(x, '=')) /* a comparison */
                forget(s, name);
        }
    }
}

/* --- calls --- */

/* At the first token of the argument. */
static void read_statement(scanner *s)
{
    int line = s->lex.now.line;
    expression e = read_expression(s);
    if (e.has_unknown && e.has_string)
        s->scan->on_spliced(s->scan->arg, line);
    else if (!e.has_unknown)
        s->scan->on_statement(s->scan->arg, line, leat_buf_view(&e.value));
    leat_buf_close(&e.value);
}

/* At `{ { "select 1", ... }, ... }`. What else a statement's table has is passed over. */
static void read_batch(scanner *s)
{
    lexer *x = &s->lex;
    int depth = 0;
    do {
        bool opens = is_sign(x, '{');
        depth += opens - is_sign(x, '}');
        next(x);
        if (opens && depth == 2 && !is_sign(x, '{') && !is_sign(x, '}'))
            read_statement(s);
    } while (depth > 0 && x->now.kind != END);
}

/* At the token behind `db`. */
static void read_method(scanner *s)
{
    lexer *x = &s->lex;
    if (!is_sign(x, ':'))
        return;
    next(x);
    if (is_name(x, "batch")) {
        next(x);
        if (is_sign(x, '('))
            next(x);
        if (is_sign(x, '{'))
            read_batch(s);
        return;
    }
    if (!is_name(x, "one") && !is_name(x, "rows") && !is_name(x, "exec"))
        return;
    next(x);
    if (is_sign(x, '('))
        next(x);
    else if (x->now.kind != STRING)
        return;
    read_statement(s);
}

/* At the token behind `require`. */
static void read_require(scanner *s)
{
    lexer *x = &s->lex;
    if (is_sign(x, '('))
        next(x);
    if (x->now.kind == STRING)
        s->scan->on_require(s->scan->arg, leat_buf_view(&x->string));
}

static void collect_calls(scanner *s)
{
    lexer *x = &s->lex;
    while (x->now.kind != END) {
        bool receiver = is_name(x, "db") || is_name(x, "tx");
        bool require = is_name(x, "require");
        next(x);
        if (receiver)
            read_method(s);
        else if (require)
            read_require(s);
    }
}

void leat_sql_scan_text(leat_slice text, const leat_sql_scan *scan)
{
    scanner s = {.lex = {.string = LEAT_BUF_INIT}, .scan = scan};
    leat_map_init(&s.constants);
    begin(&s, text);
    collect_constants(&s);
    begin(&s, text);
    collect_calls(&s);
    leat_map_entry *e;
    while ((e = leat_map_next(&s.constants, NULL)) != NULL) {
        constant *c = LEAT_CONTAINER_OF(e, constant, entry);
        leat_map_remove(&s.constants, e);
        leat_buf_close(&c->value);
        free(c);
    }
    leat_map_close(&s.constants);
    leat_buf_close(&s.lex.string);
}
