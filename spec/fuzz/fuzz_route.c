/* Input: a number that says which kind of pattern, the pattern, a name and a template, a line each.
 * A pattern matches a name or it does not, in all three ways of asking; its holes hold what their
 * types say; and the pattern, taken as a template, gives the name back. */
#include "fuzz.h"

#include <string.h>

#include <lauxlib.h>

#include "script/value/pattern.h"

static leat_slice take_line(leat_slice *input)
{
    leat_slice line = *input;
    const char *end = input->len > 0 ? memchr(input->at, '\n', input->len) : NULL;
    if (end != NULL)
        line.len = (size_t)(end - input->at);
    size_t taken = line.len + (end != NULL ? 1 : 0);
    *input = (leat_slice){input->at + taken, input->len - taken};
    return line;
}

static bool is_plain(leat_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '%' || name.at[i] == '\0' || (unsigned char)name.at[i] >= 0x80)
            return false;
    }
    return true;
}

/* The table of arguments is on top. */
static void check_args(lua_State *L, const leat_pattern *p)
{
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        leat_slice hole;
        hole.at = lua_tolstring(L, -2, &hole.len);
        CHECK(leat_pattern_has_hole(p, hole));
        CHECK(lua_isinteger(L, -1) || (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0));
    }
}

static void check_expansion(const leat_pattern *p, leat_slice name, leat_slice template,
                            leat_slice pattern, bool exact)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_buf_text(&out, "<");
    if (!leat_pattern_expand(p, name, template, &out))
        CHECK(out.len == 1);
    out.len = 1;
    bool matches = leat_pattern_matches(p, name);
    CHECK(leat_pattern_expand(p, name, pattern, &out) == matches);
    leat_slice again = {out.at + 1, out.len - 1};
    if (matches && exact)
        CHECK(leat_slice_equal(again, name));
    leat_buf_close(&out);
}

static void try_name(const leat_pattern *p, leat_slice name)
{
    lua_State *L = luaL_newstate();
    bool matches = leat_pattern_matches(p, name);
    CHECK(leat_pattern_push_args(p, name, L) == matches);
    CHECK(lua_gettop(L) == matches);
    if (matches)
        check_args(L, p);
    lua_close(L);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bool path = (data[0] & 1) != 0;
    char *copy = malloc(size - 1); /* of just that size, so that a byte too far is seen */
    memcpy(copy, data + 1, size - 1);
    leat_slice input = {copy, size - 1};
    leat_slice text = take_line(&input);
    leat_slice name = take_line(&input);
    char reason[200] = "";
    leat_pattern *p = NULL;
    if (leat_pattern_new(&p, text, path, reason, sizeof(reason)) < 0) {
        CHECK(p == NULL && reason[0] != '\0');
    } else {
        CHECK(leat_pattern_compare(p, p) == 0);
        try_name(p, name);
        check_expansion(p, name, input, text, !path || is_plain(name));
        leat_pattern_free(p);
    }
    free(copy);
    return 0;
}
