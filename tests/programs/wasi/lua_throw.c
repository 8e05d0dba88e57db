// Ends the program on a Lua error; see lua_throw.h.
#include "lua_throw.h"

#include <stdio.h>
#include <stdlib.h>

#include "lua.h"

static const char *error_text(lua_State *L, int status) {
    if (status == LUA_YIELD) {
        return "coroutines are not available in this build";
    }
    if (status == LUA_ERRMEM) {
        return "not enough memory";
    }
    const char *text = lua_gettop(L) > 0 ? lua_tostring(L, -1) : NULL;
    return text != NULL ? text : "(error object is not a string)";
}

_Noreturn void lua_throw_exit(lua_State *L, int status) {
    fflush(stdout);
    fprintf(stderr, "lua: %s\n", error_text(L, status));
    fflush(stderr);
    exit(EXIT_FAILURE);
}
