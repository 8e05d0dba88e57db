;; trap: memory access out of bounds
;; kind: memory
;; Copies from beyond the end of its memory, where another guest has its own.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (memory.copy (i32.const 0) (i32.const 0x7fff0000) (i32.const 65536))))
