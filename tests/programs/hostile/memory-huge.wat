;; trap: unreachable executed
;; kind: memory
;; Asks for 4 GiB at once, which the job's limit refuses, and notices.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1))
      (then unreachable))))
