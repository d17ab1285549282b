/* analyse.h - what analysers must know of Lua. Only scripts/test analyse builds with it: the preset "analyse" puts it
 * before each file.
 *
 * These functions of Lua raise an error and never return, but lauxlib.h does not say so. Without it the analysers follow
 * a path that does not exist, past each check of an argument. */
struct lua_State;
_Noreturn int lua_error(struct lua_State *L);
_Noreturn int luaL_error(struct lua_State *L, const char *format, ...);
_Noreturn int luaL_argerror(struct lua_State *L, int arg, const char *message);
_Noreturn int luaL_typeerror(struct lua_State *L, int arg, const char *type);
