;; trap: out of fuel
;; kind: time
;; A loop without end.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (br $again))))
