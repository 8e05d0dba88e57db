;; trap: memory access out of bounds
;; kind: memory
;; Reads at an address that does not fit 32 bits, as base and offset.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (i64.load offset=0xffffffff (i32.const -1)))))
