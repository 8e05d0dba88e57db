;; trap: indirect call to null
;; kind: fault
;; Calls through an empty table slot.
(module
  (memory (export "memory") 1)
  (type $nothing (func))
  (table 1 funcref)
  (func (export "_start")
    (call_indirect (type $nothing) (i32.const 0))))
