/* test.c - the kit is written in Lua and runs in the stock interpreter, as busted does. It finds
 * this binary and the files that belong to it by LEAT_BIN, LEAT_ROOT and LUA_PATH. */
#include "app/test.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/home.h"

static const char interpreter[] = "lua5.4";

static void set_path(const char *variable, const char *home)
{
    leat_buf path = LEAT_BUF_INIT;
    const char *old = getenv(variable);
    leat_buf_printf(&path, "%s/lua/?.lua;%s", home, old == NULL ? ";" : old);
    leat_buf_char(&path, '\0');
    setenv(variable, path.at, 1);
    leat_buf_close(&path);
}

static void set_environment(const char *home)
{
    char self[PATH_MAX] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0)
        setenv("LEAT_BIN", self, 1);
    setenv("LEAT_ROOT", home, 1);
    /* Lua prefers the variable with its version. */
    set_path(getenv("LUA_PATH_5_4") == NULL ? "LUA_PATH" : "LUA_PATH_5_4", home);
}

static size_t count(char *const *args)
{
    size_t n = 0;
    while (args[n] != NULL)
        n++;
    return n;
}

int leat_test_exec(char *const *args, leat_buf *error)
{
    char *home = NULL;
    int err = leat_home_find(&home, error);
    if (err < 0)
        return err;
    set_environment(home);
    leat_buf script = LEAT_BUF_INIT;
    leat_buf_printf(&script, "%s/lua/leat/spec/run.lua", home);
    leat_buf_char(&script, '\0');
    size_t n = count(args);
    const char **all = leat_calloc(n + 3, sizeof(*all));
    all[0] = interpreter;
    all[1] = script.at;
    memcpy(all + 2, args, n * sizeof(*all));
    execvp(interpreter, (char *const *)(const void *)all);
    leat_buf_printf(error,
                    "leat test needs %s, which cannot be run (%s): Debian has it in the "
                    "package lua5.4",
                    interpreter, strerror(errno));
    free(all);
    leat_buf_close(&script);
    free(home);
    return LEAT_ECONFIG;
}
