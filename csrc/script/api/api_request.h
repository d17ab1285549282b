/* api_request.h - the request object of scripts: token, query, headers, cookies, path, method,
 * body, remote.
 *
 * Ownership  a request is a userdata with a copy of the packed head, so it stays readable.
 * Threads    that of the Lua state.
 * Units      bytes.
 * Errors     pushing raises only if memory is out.
 *
 * Fields are made when they are first asked for. The body can be read only while the handler of the
 * request runs. path and method are as sent. query and cookies are tables of decoded texts; of
 * several with one name the first counts. headers is a table by lower-case name; several with one
 * name are joined with ", ". pairs(request) walks all fields. Scripts may set fields of their own.
 */
#ifndef LEAT_SCRIPT_API_API_REQUEST_H
#define LEAT_SCRIPT_API_API_REQUEST_H

#include <lua.h>

#include "script/task/vm.h"
#include "wire/head.h"

void leat_api_request_open(lua_State *L);
void leat_api_request_push(lua_State *L, leat_lua *lua, leat_slice packed_head);

#endif
