;; trap: indirect call type mismatch
;; kind: fault
;; Calls a function of another type through its table.
(module
  (memory (export "memory") 1)
  (type $nothing (func))
  (table funcref (elem $number))
  (func $number (result i32)
    (i32.const 1))
  (func (export "_start")
    (call_indirect (type $nothing) (i32.const 0))))
