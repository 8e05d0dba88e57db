;; trap: memory access out of bounds
;; kind: memory
;; Overwrites its memory and the byte that follows it.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (memory.fill (i32.const 0) (i32.const 255) (i32.const 65537))))
