;; trap: call depth exhausted
;; kind: stack
;; A function that calls itself without end, with work left to do after each call.
(module
  (memory (export "memory") 1)
  (func $deeper (param $depth i64) (result i64)
    (i64.mul (local.get $depth)
      (call $deeper (i64.add (local.get $depth) (i64.const 1)))))
  (func (export "_start")
    (drop (call $deeper (i64.const 1)))))
