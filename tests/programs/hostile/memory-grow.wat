;; exit: 0
;; kind: memory
;; Grows its memory until it is refused, and writes to every page that it gets.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (local $page i32)
    (block $refused
      (loop $again
        (local.set $page (memory.grow (i32.const 1)))
        (br_if $refused (i32.eq (local.get $page) (i32.const -1)))
        (i32.store8 (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
        (br $again)))))
