// Stands where Lua's ldo.c includes <setjmp.h>, which this C library lacks.
// Empty on purpose: lua_throw.h configures Lua not to use it.
