;; refused: the data segment 1 lies outside its memory
;; kind: module
;; Data that would be written across the end of the memory before the program begins.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "inside")
  (data (i32.const 65533) "four")
  (func (export "_start")))
