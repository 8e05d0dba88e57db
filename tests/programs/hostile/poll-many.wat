;; exit: 28
;; kind: host call
;; Waits for a thousand million things at once (invalid).
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (call $proc_exit
      (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 1000000000) (i32.const 0)))))
