/* api_request.h - the request object of scripts: token, query, headers, cookies, path, method,
 * body, remote.
 *
 * Ownership  a request is a userdata with a copy of the packed head: it outlives everything else.
 * Threads    the Lua state's.
 * Units      bytes.
 * Errors     pushing raises for lack of memory only.
 *
 * Fields are made when they are first asked for; the body, only while the request's handler runs.
 * path and method are as sent; query and cookies are tables of decoded texts (the first of a name
 * counts), headers a table by lower-case name (several of a name are joined with ", ").
 * pairs(request) walks all of it, and scripts may set fields of their own.
 */
#ifndef LEAT_SCRIPT_API_API_REQUEST_H
#define LEAT_SCRIPT_API_API_REQUEST_H

#include <lua.h>

#include "script/task/vm.h"
#include "wire/head.h"

void leat_api_request_open(lua_State *L);
void leat_api_request_push(lua_State *L, leat_lua *lua, leat_slice packed_head);

#endif
