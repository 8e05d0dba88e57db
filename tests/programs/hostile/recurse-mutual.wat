;; trap: call depth exhausted
;; kind: stack
;; Three functions in a ring, of which none calls itself.
(module
  (memory (export "memory") 1)
  (func $one (param i64) (result i64)
    (i64.add (local.get 0) (call $two (local.get 0))))
  (func $two (param i64) (result i64)
    (i64.mul (local.get 0) (call $three (local.get 0))))
  (func $three (param i64) (result i64)
    (i64.sub (local.get 0) (call $one (local.get 0))))
  (func (export "_start")
    (drop (call $one (i64.const 3)))))
