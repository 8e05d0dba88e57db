;; trap: memory access out of bounds
;; kind: memory
;; Reads across the end of its memory.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (i64.load (i32.const 65529)))))
