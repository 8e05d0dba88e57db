// Configures Lua's error handling through its own macros, for a platform
// without stack unwinding. A body that raises no error runs as in any Lua. An
// error ends the program the way Lua's stand-alone interpreter ends on an
// uncaught one: message on stderr, exit code 1. So `pcall` never catches, and
// `coroutine.yield` is an error.
#ifndef LUA_THROW_H
#define LUA_THROW_H

struct lua_State;

_Noreturn void lua_throw_exit(struct lua_State *L, int status);

#define LUAI_THROW(L, c) lua_throw_exit((L), (c)->status)
#define LUAI_TRY(L, c, a) { a }
#define luai_jmpbuf int

#endif
