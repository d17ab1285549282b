/* sandbox_lib.h - the part of the standard library that a sandboxed script gets.
 *
 * Ownership  nothing of its own.
 * Threads    the owner's.
 * Units      none.
 * Errors     may raise, so it is called protected.
 *
 * base       without dofile, load, loadfile, warn. collectgarbage knows only "count". print writes
 * to the log. setmetatable refuses __gc, because nothing could stop its calls. pcall and xpcall do
 * not catch the end of a run. string     without dump. Patterns are matched by lua_match.h. table
 * as it is, but a call moves at most a million elements. math, utf8 as they are. os         clock,
 * date, difftime, getenv, time. getenv hides the server's own variables. package    loaded and
 * config only. require finds text files in the folders that the host names, and no modules in C.
 * The light userdata NULL (leat.null, and cjson.null) reads "null".
 * The library coroutine is in sandbox_co.h. There are no libraries io and debug.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_LIB_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_LIB_H

#include <lua.h>

void leat_sandbox_lib_open(lua_State *L);

/* Replaces the table package by what a script may see of it. To be called once all libraries are
 * there. */
void leat_sandbox_lib_guard_package(lua_State *L);

/* The Lua function on the top, which stays there, was loaded from a file: leat_sandbox_code counts
 * it in. What require loads is noted by itself. */
void leat_sandbox_lib_note_code(lua_State *L);

/* Where require looks, as package.path is written: "/srv/app/?.lua;/srv/lib/?.lua". */
void leat_sandbox_lib_require_from(lua_State *L, const char *templates);

#endif
