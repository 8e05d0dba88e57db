;; exit: 8
;; kind: descriptor
;; Closes stdout and then writes to it (bad descriptor).
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (call $fd_close (i32.const 1)) (then unreachable))
    (call $proc_exit
      (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))))
