;; exit: 21
;; kind: host call
;; Hands the host addresses outside its memory; each fails alike (bad address).
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get"
    (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $refused (param $error i32)
    (if (i32.ne (local.get $error) (i32.const 21)) (then unreachable)))
  (func (export "_start")
    ;; A list of buffers beyond the end, a buffer beyond the end, a result beyond the end.
    (call $refused (call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 0) (i32.const 65530))
    (i32.store (i32.const 4) (i32.const 100))
    (call $refused (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $refused (call $random_get (i32.const 65535) (i32.const 2)))
    (call $refused (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 65529)))
    (call $proc_exit (i32.const 21))))
