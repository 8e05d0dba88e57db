;; refused: the element segment 0 lies outside its table
;; kind: module
;; A function that would stand behind the end of the table before the program begins.
(module
  (memory (export "memory") 1)
  (table 2 funcref)
  (elem (i32.const 2) func $main)
  (func $main (export "_start")))
