;; trap: call depth exhausted
;; kind: stack
;; Two functions that call each other through a table, with large frames.
(module
  (memory (export "memory") 1)
  (type $step (func (param f64 f64 f64 f64) (result f64)))
  (table funcref (elem $ping $pong))
  (func $ping (type $step)
    (f64.add (local.get 0)
      (call_indirect (type $step)
        (local.get 1) (local.get 2) (local.get 3) (local.get 0) (i32.const 1))))
  (func $pong (type $step)
    (f64.mul (local.get 3)
      (call_indirect (type $step)
        (local.get 2) (local.get 0) (local.get 3) (local.get 1) (i32.const 0))))
  (func (export "_start")
    (drop (call $ping (f64.const 1) (f64.const 2) (f64.const 3) (f64.const 4)))))
