/* lua_pattern.c - a pattern is compiled into an array of nodes: a character with its repetition,
 * the beginning or end of a capture, an anchor and so on. A Lua pattern has no alternatives, and
 * repeats only single characters. So matching is a walk along the array. Each repetition leaves a
 * mark: how far it may be shortened, or lengthened. A node that fails returns to the last mark.
 * There are never more marks than nodes, no recursion, and one place where steps are counted.
 *
 * Captures are never undone: it is known at compile time which of them are open at a node, and the
 * walk sets each of them again on its way to the end. */
#include "script/sandbox/lua_pattern.h"

#include <ctype.h>
#include <string.h>

#include <lauxlib.h>

#include "script/sandbox/sandbox_run.h"

enum {
    STEPS_A_LOOK = 4096, /* between two calls of leat_sandbox_run_check */
    BYTES_A_STEP = 64,   /* that memcmp compares in the time of a step */
    SET_BYTES_A_STEP = 8,
};

typedef unsigned char byte;

enum kind {
    LITERAL,  /* the byte c */
    ANY,      /* . */
    CLASS,    /* %a: c is the letter */
    SET,      /* [a-z]: set_ to set_end_, without the brackets */
    OPEN,     /* ( */
    PLACE,    /* () */
    CLOSE,    /* ) */
    BACKREF,  /* %1 */
    BALANCED, /* %bxy: set points at xy */
    FRONTIER, /* %f[a-z] */
    AT_END,   /* $ */
};

/* --- compiling --- */

typedef struct compiler {
    leat_lua_pattern *p;
    const char *at;
    const char *end;
    bool closed[LEAT_LUA_PATTERN_CAPTURES];
} compiler;

/* Called with at behind '['. The first character belongs to the set even if it is ']'. */
static void compile_set(compiler *c, leat_lua_pattern_node *n)
{
    n->negated_ = c->at < c->end && *c->at == '^';
    if (n->negated_)
        c->at++;
    n->set_ = c->at;
    do {
        if (c->at < c->end && *c->at == '%')
            c->at++;
        if (c->at >= c->end)
            luaL_error(c->p->L, "malformed pattern (missing ']')");
        c->at++;
    } while (c->at >= c->end || *c->at != ']');
    n->set_end_ = c->at++;
}

static void compile_backref(compiler *c, leat_lua_pattern_node *n)
{
    int capture = *c->at++ - '1';
    if (capture < 0 || capture >= c->p->n_captures || !c->closed[capture])
        luaL_error(c->p->L, "invalid capture index %%%d in pattern", capture + 1);
    n->kind_ = BACKREF;
    n->capture_ = (uint8_t)capture;
}

static void compile_balanced(compiler *c, leat_lua_pattern_node *n)
{
    if (c->end - c->at < 2)
        luaL_error(c->p->L, "malformed pattern (missing arguments to '%%b')");
    n->kind_ = BALANCED;
    n->set_ = c->at;
    c->at += 2;
}

static void compile_frontier(compiler *c, leat_lua_pattern_node *n)
{
    if (c->at >= c->end || *c->at != '[')
        luaL_error(c->p->L, "missing '[' after '%%f' in pattern");
    c->at++;
    compile_set(c, n);
    n->kind_ = FRONTIER;
}

/* Called with at behind '%'. Returns true if the node is a single character. */
static bool compile_escape(compiler *c, leat_lua_pattern_node *n)
{
    if (c->at >= c->end)
        luaL_error(c->p->L, "malformed pattern (ends with '%%')");
    if (isdigit((byte)*c->at)) {
        compile_backref(c, n);
        return false;
    }
    n->c_ = (byte)*c->at++;
    if (n->c_ == 'b') {
        compile_balanced(c, n);
        return false;
    }
    if (n->c_ == 'f') {
        compile_frontier(c, n);
        return false;
    }
    n->kind_ = isalpha(n->c_) ? CLASS : LITERAL;
    return true;
}

static void compile_open(compiler *c, leat_lua_pattern_node *n)
{
    if (c->p->n_captures == LEAT_LUA_PATTERN_CAPTURES)
        luaL_error(c->p->L, "too many captures");
    n->capture_ = (uint8_t)c->p->n_captures++;
    n->kind_ = OPEN;
    if (c->at < c->end && *c->at == ')') {
        c->at++;
        n->kind_ = PLACE;
        c->closed[n->capture_] = true;
    }
}

static void compile_close(compiler *c, leat_lua_pattern_node *n)
{
    int capture = c->p->n_captures - 1;
    while (capture >= 0 && c->closed[capture])
        capture--;
    if (capture < 0)
        luaL_error(c->p->L, "invalid pattern capture");
    c->closed[capture] = true;
    n->kind_ = CLOSE;
    n->capture_ = (uint8_t)capture;
}

/* Compiles one node. Returns true if it is a single character, which may be repeated. */
static bool compile_node(compiler *c, leat_lua_pattern_node *n)
{
    char first = *c->at++;
    switch (first) {
    case '(':
        compile_open(c, n);
        return false;
    case ')':
        compile_close(c, n);
        return false;
    case '%':
        return compile_escape(c, n);
    case '[':
        n->kind_ = SET;
        compile_set(c, n);
        return true;
    case '.':
        n->kind_ = ANY;
        return true;
    case '$':
        n->kind_ = c->at == c->end ? AT_END : LITERAL;
        n->c_ = '$';
        return n->kind_ == LITERAL;
    default:
        n->kind_ = LITERAL;
        n->c_ = (byte)first;
        return true;
    }
}

static void compile_repeat(compiler *c, leat_lua_pattern_node *n)
{
    if (c->at < c->end && memchr("?*+-", *c->at, 4) != NULL)
        n->repeat_ = *c->at++;
}

/* A pattern has at most one node for each byte. May push a userdata with the memory for the nodes.
 */
static void make_room(leat_lua_pattern *p, size_t pattern_len)
{
    p->nodes_ = p->few_nodes_;
    p->marks_ = p->few_marks_;
    if (pattern_len <= LEAT_LUA_PATTERN_FEW)
        return;
    p->nodes_ = lua_newuserdatauv(
        p->L, pattern_len * (sizeof(leat_lua_pattern_node) + sizeof(leat_lua_pattern_mark)), 0);
    p->marks_ = (leat_lua_pattern_mark *)(void *)(p->nodes_ + pattern_len);
}

void leat_lua_pattern_compile(leat_lua_pattern *p, lua_State *L, const char *text, size_t len,
                              bool anchors)
{
    compiler c = {.p = p, .at = text, .end = text + len};
    p->L = L;
    p->anchored = anchors && len > 0 && *text == '^';
    c.at += p->anchored ? 1 : 0;
    p->steps_left_ = STEPS_A_LOOK;
    p->n_nodes_ = 0;
    p->n_captures = 0;
    make_room(p, len);
    while (c.at < c.end) {
        leat_lua_pattern_node *n = &p->nodes_[p->n_nodes_++];
        *n = (leat_lua_pattern_node){.repeat_ = 0};
        if (compile_node(&c, n))
            compile_repeat(&c, n);
    }
    for (int i = 0; i < p->n_captures; i++) {
        if (!c.closed[i])
            luaL_error(L, "unfinished capture");
    }
}

/* --- single characters --- */

static bool in_class(byte c, byte letter)
{
    bool in;
    switch (tolower(letter)) {
    case 'a':
        in = isalpha(c);
        break;
    case 'c':
        in = iscntrl(c);
        break;
    case 'd':
        in = isdigit(c);
        break;
    case 'g':
        in = isgraph(c);
        break;
    case 'l':
        in = islower(c);
        break;
    case 'p':
        in = ispunct(c);
        break;
    case 's':
        in = isspace(c);
        break;
    case 'u':
        in = isupper(c);
        break;
    case 'w':
        in = isalnum(c);
        break;
    case 'x':
        in = isxdigit(c);
        break;
    case 'z':
        in = c == 0;
        break;
    default:
        return c == letter; /* %y is y */
    }
    return isupper(letter) ? !in : in;
}

static bool in_set(const leat_lua_pattern_node *n, byte c)
{
    for (const char *at = n->set_; at < n->set_end_; at++) {
        if (*at == '%') {
            if (in_class(c, (byte) * ++at))
                return !n->negated_;
        } else if (n->set_end_ - at > 2 && at[1] == '-') {
            if ((byte)at[0] <= c && c <= (byte)at[2])
                return !n->negated_;
            at += 2;
        } else if ((byte)*at == c) {
            return !n->negated_;
        }
    }
    return n->negated_;
}

static bool is_match(const leat_lua_pattern_node *n, byte c)
{
    switch ((enum kind)n->kind_) {
    case LITERAL:
        return c == n->c_;
    case ANY:
        return true;
    case CLASS:
        return in_class(c, n->c_);
    case SET:
    case FRONTIER:
        return in_set(n, c);
    case OPEN:
    case PLACE:
    case CLOSE:
    case BACKREF:
    case BALANCED:
    case AT_END:
        break;
    }
    return false;
}

/* --- the walk --- */

static void count_steps(leat_lua_pattern *p, size_t n)
{
    if (p->steps_left_ > n) {
        p->steps_left_ -= n;
        return;
    }
    p->steps_left_ = STEPS_A_LOOK;
    leat_sandbox_run_check(p->L);
}

/* Matches one character. */
static size_t cost(const leat_lua_pattern_node *n)
{
    bool has_set = n->kind_ == SET || n->kind_ == FRONTIER;
    return has_set ? 1 + (size_t)(n->set_end_ - n->set_) / SET_BYTES_A_STEP : 1;
}

static bool matches_at(const leat_lua_pattern *p, const leat_lua_pattern_node *n, const char *at)
{
    return at < p->subject_end && is_match(n, (byte)*at);
}

/* Both return where the walk goes on, or NULL if there is no match. */
static const char *pass_backref(leat_lua_pattern *p, const leat_lua_pattern_node *n, const char *at)
{
    ptrdiff_t len = p->captures[n->capture_].len;
    if (len == LEAT_LUA_PATTERN_PLACE || p->subject_end - at < len)
        return NULL;
    count_steps(p, (size_t)len / BYTES_A_STEP);
    return memcmp(p->captures[n->capture_].at, at, (size_t)len) == 0 ? at + len : NULL;
}

static const char *pass_balanced(leat_lua_pattern *p, const leat_lua_pattern_node *n,
                                 const char *at)
{
    if (at >= p->subject_end || *at != n->set_[0])
        return NULL;
    size_t open = 1;
    for (const char *s = at + 1; s < p->subject_end; s++) {
        count_steps(p, 1);
        if (*s == n->set_[1]) {
            if (--open == 0)
                return s + 1;
        } else if (*s == n->set_[0]) {
            open++;
        }
    }
    return NULL;
}

static bool at_frontier(const leat_lua_pattern *p, const leat_lua_pattern_node *n, const char *at)
{
    byte before = at == p->subject ? 0 : (byte)at[-1];
    byte here = at < p->subject_end ? (byte)*at : 0;
    return !is_match(n, before) && is_match(n, here);
}

/* A greedy repetition takes as many characters as match, a lazy one none. Leaves a mark. */
static const char *pass_repeat(leat_lua_pattern *p, size_t i, const char *at)
{
    const leat_lua_pattern_node *n = &p->nodes_[i];
    const char *low = n->repeat_ == '+' ? at + 1 : at;
    const char *limit = n->repeat_ == '?' && at < p->subject_end ? at + 1 : p->subject_end;
    const char *s = at;
    if (n->repeat_ != '-') {
        for (; s < limit && is_match(n, (byte)*s); s++)
            count_steps(p, cost(n));
    }
    if (s < low)
        return NULL;
    p->marks_[p->n_marks_++] = (leat_lua_pattern_mark){i, low, s};
    return s;
}

/* Matches node i at that place. Returns the end of the match, or NULL. */
static const char *pass(leat_lua_pattern *p, size_t i, const char *at)
{
    const leat_lua_pattern_node *n = &p->nodes_[i];
    switch ((enum kind)n->kind_) {
    case OPEN:
        p->captures[n->capture_].at = at;
        return at;
    case PLACE:
        p->captures[n->capture_].at = at;
        p->captures[n->capture_].len = LEAT_LUA_PATTERN_PLACE;
        return at;
    case CLOSE:
        p->captures[n->capture_].len = at - p->captures[n->capture_].at;
        return at;
    case AT_END:
        return at == p->subject_end ? at : NULL;
    case FRONTIER:
        return at_frontier(p, n, at) ? at : NULL;
    case BACKREF:
        return pass_backref(p, n, at);
    case BALANCED:
        return pass_balanced(p, n, at);
    case LITERAL:
    case ANY:
    case CLASS:
    case SET:
        break;
    }
    if (n->repeat_ != 0)
        return pass_repeat(p, i, at);
    return matches_at(p, n, at) ? at + 1 : NULL;
}

/* Returns to the last repetition that can be shortened or lengthened: the place where the walk goes
 * on, and the next node. */
static const char *go_back(leat_lua_pattern *p, size_t *next)
{
    while (p->n_marks_ > 0) {
        leat_lua_pattern_mark *last = &p->marks_[p->n_marks_ - 1];
        const leat_lua_pattern_node *n = &p->nodes_[last->node_];
        *next = last->node_ + 1;
        if (n->repeat_ == '-') {
            count_steps(p, cost(n));
            if (matches_at(p, n, last->at_))
                return ++last->at_;
        } else if (last->at_ > last->low_) {
            return --last->at_;
        }
        p->n_marks_--;
    }
    return NULL;
}

const char *leat_lua_pattern_match(leat_lua_pattern *p, const char *start)
{
    const char *at = start;
    size_t i = 0;
    p->n_marks_ = 0;
    while (i < p->n_nodes_) {
        count_steps(p, cost(&p->nodes_[i]));
        at = pass(p, i, at);
        i++;
        if (at == NULL) {
            at = go_back(p, &i);
            if (at == NULL)
                return NULL;
        }
    }
    return at;
}

const char *leat_lua_pattern_search(leat_lua_pattern *p, const char **start)
{
    do {
        const char *end = leat_lua_pattern_match(p, *start);
        if (end != NULL)
            return end;
        if (p->anchored)
            return NULL;
    } while ((*start)++ < p->subject_end);
    return NULL;
}
