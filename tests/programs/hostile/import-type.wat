;; refused: import wasi_snapshot_preview1.fd_close has the wrong type
;; kind: module
;; Imports a host function with a type of its own invention.
(module
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $fd_close (i64.const 0) (i64.const 0))))
