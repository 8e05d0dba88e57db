;; trap: out of fuel
;; kind: time
;; The module's start function, which runs before `_start`, never returns.
(module
  (memory (export "memory") 1)
  (func $start
    (loop $again
      (br $again)))
  (start $start)
  (func (export "_start")))
