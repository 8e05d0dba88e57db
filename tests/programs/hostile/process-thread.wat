;; refused: unknown import wasi.thread-spawn
;; kind: process
;; Asks for a thread of its own.
(module
  (import "wasi" "thread-spawn" (func $new (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $new (i32.const 0)))))
