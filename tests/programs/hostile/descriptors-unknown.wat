;; exit: 8
;; kind: descriptor
;; Reads, closes and renumbers descriptors that are not open; each fails alike (bad descriptor).
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber"
    (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $refused (param $error i32)
    (if (i32.ne (local.get $error) (i32.const 8)) (then unreachable)))
  (func (export "_start")
    (call $refused (call $fd_read (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 8)))
    (call $refused (call $fd_close (i32.const 0x7fffffff)))
    (call $refused (call $fd_renumber (i32.const 1) (i32.const 0x7fffffff)))
    (call $refused (call $fd_renumber (i32.const 1000000) (i32.const 1)))
    (call $refused (call $fd_close (i32.const 999)))
    (call $proc_exit (i32.const 8))))
