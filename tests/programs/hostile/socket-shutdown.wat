;; exit: 57
;; kind: network
;; Shuts down each descriptor that it has, as if it were a socket (not a socket).
(module
  (import "wasi_snapshot_preview1" "sock_shutdown"
    (func $sock_shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $fd i32)
    (loop $next
      (if
        (i32.ne
          (call $sock_shutdown (local.get $fd) (i32.const 3))
          (i32.const 57))
        (then unreachable))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $fd) (i32.const 7))))
    (call $proc_exit (i32.const 57))))
