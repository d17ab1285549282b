/* Results are written into the state's own buffer (leat_lua_codec), because pushing one may raise:
 * a buffer of this file would be lost then. */
#include "script/api/api_crypto.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "script/value/lua_shape.h"
#include "wire/crypto.h"

enum {
    TEXT_MAX_BYTES =
        16 * 1024 * 1024, /* hashing that much takes some 50 ms, and cannot be stopped */
    RANDOM_MAX_BYTES = 1024,
};

/* The text at index; raises if it is too long. [-0, +0, arg] */
static leat_slice check_text(lua_State *L, int index)
{
    leat_slice text;
    text.at = luaL_checklstring(L, index, &text.len);
    luaL_argcheck(L, text.len <= TEXT_MAX_BYTES, index, "a text may have 16 MiB at most");
    return text;
}

/* The hash function that the text at index names. [-0, +0, arg] */
static leat_hash check_hash(lua_State *L, int index)
{
    leat_hash hash = LEAT_HASH_SHA256;
    const char *name = luaL_checkstring(L, index);
    if (!leat_hash_of(name, &hash))
        luaL_argerror(L, index, "the hash must be sha256, sha384 or sha512");
    return hash;
}

static leat_buf *empty_buffer(lua_State *L)
{
    leat_buf *out = &leat_lua_shape_codec(L)->text;
    out->len = 0;
    return out;
}

/* Pushes what was written, and lets a large buffer go. [-0, +1, m] */
static int push_buffer(lua_State *L, leat_buf *out)
{
    lua_pushlstring(L, out->at, out->len);
    leat_lua_shape_empty(out);
    return 1;
}

/* leat.crypto.hash(name, text) -> bytes                             [-0, +1, arg] */
static int crypto_hash(lua_State *L)
{
    leat_hash hash = check_hash(L, 1);
    leat_slice text = check_text(L, 2);
    leat_buf *out = empty_buffer(L);
    leat_crypto_hash(out, hash, text);
    return push_buffer(L, out);
}

/* leat.crypto.hmac(name, key, text) -> bytes                        [-0, +1, arg] */
static int crypto_hmac(lua_State *L)
{
    leat_hash hash = check_hash(L, 1);
    leat_slice key = check_text(L, 2);
    luaL_argcheck(L, key.len > 0, 2, "the key is empty");
    leat_slice text = check_text(L, 3);
    leat_buf *out = empty_buffer(L);
    leat_crypto_hmac(out, hash, key, text);
    return push_buffer(L, out);
}

/* leat.crypto.equal(a, b) -> boolean                                [-0, +1, arg] */
static int crypto_equal(lua_State *L)
{
    lua_pushboolean(L, leat_crypto_equal(check_text(L, 1), check_text(L, 2)));
    return 1;
}

/* leat.crypto.random(n) -> n bytes                                  [-0, +1, arg] */
static int crypto_random(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 1 && n <= RANDOM_MAX_BYTES, 1, "1 to 1024 bytes");
    leat_buf *out = empty_buffer(L);
    leat_crypto_random(out, (size_t)n);
    return push_buffer(L, out);
}

/* [-0, +1, arg] */
static int write_base64(lua_State *L, leat_base64 alphabet)
{
    leat_slice bytes = check_text(L, 1);
    leat_buf *out = empty_buffer(L);
    leat_base64_write(out, alphabet, bytes);
    return push_buffer(L, out);
}

/* [-0, +1|+2, arg] */
static int read_base64(lua_State *L, leat_base64 alphabet, const char *reason)
{
    leat_slice text = check_text(L, 1);
    leat_buf *out = empty_buffer(L);
    if (leat_base64_read(out, alphabet, text) == 0)
        return push_buffer(L, out);
    luaL_pushfail(L);
    lua_pushstring(L, reason);
    return 2;
}

/* leat.crypto.base64(bytes) -> text                                 [-0, +1, arg] */
static int crypto_base64(lua_State *L)
{
    return write_base64(L, LEAT_BASE64);
}

/* leat.crypto.from_base64(text) -> bytes | nil, reason              [-0, +1|+2, arg] */
static int crypto_from_base64(lua_State *L)
{
    return read_base64(L, LEAT_BASE64, "not base64 with padding (RFC 4648, section 4)");
}

/* leat.crypto.base64url(bytes) -> text                              [-0, +1, arg] */
static int crypto_base64url(lua_State *L)
{
    return write_base64(L, LEAT_BASE64_URL);
}

/* leat.crypto.from_base64url(text) -> bytes | nil, reason           [-0, +1|+2, arg] */
static int crypto_from_base64url(lua_State *L)
{
    return read_base64(L, LEAT_BASE64_URL, "not base64url without padding (RFC 4648, section 5)");
}

/* leat.crypto.hex(bytes) -> text                                    [-0, +1, arg] */
static int crypto_hex(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    leat_slice bytes = check_text(L, 1);
    leat_buf *out = empty_buffer(L);
    leat_buf_reserve(out, bytes.len * 2);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];
        out->at[out->len++] = digits[byte >> 4];
        out->at[out->len++] = digits[byte & 15];
    }
    return push_buffer(L, out);
}

void leat_api_crypto_push(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"base64", crypto_base64},
        {"base64url", crypto_base64url},
        {"equal", crypto_equal},
        {"from_base64", crypto_from_base64},
        {"from_base64url", crypto_from_base64url},
        {"hash", crypto_hash},
        {"hex", crypto_hex},
        {"hmac", crypto_hmac},
        {"random", crypto_random},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
}
