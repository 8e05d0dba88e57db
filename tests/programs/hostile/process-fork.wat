;; refused: unknown import env.fork
;; kind: process
;; Asks for a process of its own by the name that C has for it.
(module
  (import "env" "fork" (func $new (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $new (i32.const 0)))))
