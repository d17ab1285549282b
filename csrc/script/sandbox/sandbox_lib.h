/* sandbox_lib.h - the part of the standard library that a sandboxed script gets.
 *
 * Ownership  nothing of its own.
 * Threads    the owner's.
 * Units      none.
 * Errors     may raise: called protected.
 *
 * base       without dofile, loadfile, warn. load takes text chunks only. collectgarbage knows only
 *            "count". print writes to the log. setmetatable refuses __gc, whose calls nothing could
 *            stop. pcall and xpcall do not catch the end of a run.
 * string     without dump. Patterns are matched by lua_match.h.
 * table      as it is, but no call moves more elements than a script's memory could hold.
 * math, utf8 as they are.
 * os         clock, date, difftime, getenv, time.
 * package    without loadlib. Lua files from package.path are text only; C modules come from
 *            package.cpath, the operator's to set.
 * The light userdata NULL (leat.null, and cjson.null) reads "null".
 * coroutine is sandbox_co.h's. There is no io and no debug.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_LIB_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_LIB_H

#include <lua.h>

void leat_sandbox_lib_open(lua_State *L);

#endif
