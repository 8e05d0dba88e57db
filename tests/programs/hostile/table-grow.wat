;; exit: 0
;; kind: memory
;; Grows its table until it is refused.
(module
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (func (export "_start")
    (loop $again
      (br_if $again
        (i32.ne (table.grow $table (ref.null func) (i32.const 65536)) (i32.const -1))))))
