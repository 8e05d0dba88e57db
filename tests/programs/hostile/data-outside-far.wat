;; refused: the data segment 0 lies outside its memory
;; kind: module
;; Data whose place is only a place when it is taken for a negative number.
(module
  (memory (export "memory") 1)
  (data (i32.const -1) "x")
  (func (export "_start")))
