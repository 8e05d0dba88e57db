;; exit: 76
;; kind: file
;; Gives its descriptor of the inputs every right there is (not capable).
(module
  (import "wasi_snapshot_preview1" "fd_fdstat_set_rights"
    (func $fd_fdstat_set_rights (param i32 i64 i64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit
      (call $fd_fdstat_set_rights (i32.const 4) (i64.const -1) (i64.const -1)))))
