/* lua_pattern.h - a compiled Lua pattern (manual §6.4.1) and its matching.
 *
 * Ownership  a pattern lives in the frame of its caller. A long one also needs memory of Lua,
 *            which compiling leaves on the stack. It points into the text of the pattern and into
 *            the subject.
 * Threads    that of the Lua state.
 * Units      bytes.
 * Errors     compiling raises for a malformed pattern. Matching counts its steps and now and then
 *            calls leat_sandbox_run_check.
 */
#ifndef LEAT_SCRIPT_SANDBOX_LUA_PATTERN_H
#define LEAT_SCRIPT_SANDBOX_LUA_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

enum {
    LEAT_LUA_PATTERN_CAPTURES = 32,
    LEAT_LUA_PATTERN_FEW = 24,   /* nodes that need no memory of their own */
    LEAT_LUA_PATTERN_PLACE = -1, /* length of a position capture */
};

typedef struct leat_lua_pattern_node {
    uint8_t kind_;
    char repeat_; /* of single characters: 0 once, or one of ? * + - */
    bool negated_;
    unsigned char c_;
    uint8_t capture_;
    const char *set_;
    const char *set_end_;
} leat_lua_pattern_node;

/* A repetition after which the walk may go on differently. A greedy one is shortened from at down
 * to low. A lazy one is lengthened from at, as long as the characters match. */
typedef struct leat_lua_pattern_mark {
    size_t node_;
    const char *low_;
    const char *at_;
} leat_lua_pattern_mark;

typedef struct leat_lua_pattern {
    lua_State *L;
    const char *subject; /* the caller sets it before matching */
    const char *subject_end;
    bool anchored; /* it began with an anchor, ^ */
    int n_captures;
    struct {
        const char *at;
        ptrdiff_t len;                     /* or LEAT_LUA_PATTERN_PLACE */
    } captures[LEAT_LUA_PATTERN_CAPTURES]; /* of the last match */

    leat_lua_pattern_node *nodes_;
    size_t n_nodes_;
    leat_lua_pattern_mark *marks_;
    size_t n_marks_;
    size_t steps_left_; /* until the next call of leat_sandbox_run_check */
    leat_lua_pattern_node few_nodes_[LEAT_LUA_PATTERN_FEW];
    leat_lua_pattern_mark few_marks_[LEAT_LUA_PATTERN_FEW];
} leat_lua_pattern;

/* anchors: a ^ at the beginning is an anchor; for gmatch it is a character. Leaves at most one
 * value on the stack, which must stay as long as p is used. */
void leat_lua_pattern_compile(leat_lua_pattern *p, lua_State *L, const char *text, size_t len,
                              bool anchors);

/* Returns the end of the match that begins at start, or NULL. */
const char *leat_lua_pattern_match(leat_lua_pattern *p, const char *start);

/* Finds the first match at or after *start. Sets *start to its beginning and returns its end, or
 * NULL. */
const char *leat_lua_pattern_search(leat_lua_pattern *p, const char **start);

#endif
