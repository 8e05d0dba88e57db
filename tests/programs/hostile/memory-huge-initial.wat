;; refused: pages of memory
;; kind: memory
;; Declares 4 GiB of initial memory, more than a job may have.
(module
  (memory (export "memory") 65536)
  (func (export "_start")))
