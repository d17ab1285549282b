/* lua_param.c - Lua values to the parameters of a statement. Nothing here raises. */
#include "script/value/lua_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wire/json.h"

#define EXACT_INTEGERS 0x1p53 /* a double has every integer up to here */

enum { PARAM_MAX_BYTES = 64 << 20 }; /* of all parameters of a statement */

static int param_text(lua_State *L, int index, leat_buf *out, size_t room, char *reason,
                      size_t reason_size)
{
    leat_slice text;
    text.at = lua_tolstring(L, index, &text.len);
    if (text.len > room) {
        snprintf(reason, reason_size, "the parameters are larger than %d bytes", PARAM_MAX_BYTES);
        return LEAT_ETOOLARGE;
    }
    if (memchr(text.at, '\0', text.len) != NULL) {
        snprintf(reason, reason_size,
                 "it contains a zero byte, which no text of Postgres can have");
        return LEAT_EBADMSG;
    }
    leat_buf_slice(out, text);
    return 0;
}

static void param_number(lua_State *L, int index, leat_buf *out)
{
    if (lua_isinteger(L, index)) {
        leat_buf_int(out, lua_tointeger(L, index));
        return;
    }
    double n = lua_tonumber(L, index);
    if (fabs(n) <= EXACT_INTEGERS && n == floor(n))
        leat_buf_int(out, (int64_t)n);
    else if (leat_json_write_double(out, n) < 0)
        leat_buf_text(out, isnan(n) ? "NaN" : n > 0 ? "Infinity" : "-Infinity");
}

int leat_lua_param(lua_State *L, int index, leat_buf *out, bool *is_null, char *reason,
                   size_t reason_size)
{
    size_t room = out->len < PARAM_MAX_BYTES ? PARAM_MAX_BYTES - out->len : 0;
    *is_null = false;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        *is_null = true;
        return 0;
    case LUA_TLIGHTUSERDATA:
        *is_null = lua_touserdata(L, index) == NULL;
        break;
    case LUA_TBOOLEAN:
        leat_buf_text(out, lua_toboolean(L, index) ? "true" : "false");
        return 0;
    case LUA_TNUMBER:
        param_number(L, index, out);
        return 0;
    case LUA_TSTRING:
        return param_text(L, index, out, room, reason, reason_size);
    case LUA_TTABLE:
    case LUA_TUSERDATA:
        return leat_lua_json_encode(L, index, out, room, reason, reason_size);
    default:
        break;
    }
    if (*is_null)
        return 0;
    snprintf(reason, reason_size, "a %s cannot be a parameter",
             lua_typename(L, lua_type(L, index)));
    return LEAT_EBADMSG;
}
