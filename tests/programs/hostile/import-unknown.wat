;; refused: unknown import env.open_socket
;; kind: module
;; Imports a function that no host provides.
(module
  (import "env" "open_socket" (func $open_socket (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $open_socket (i32.const 0)))))
