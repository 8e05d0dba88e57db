;; refused: the module does not export
;; kind: module
;; Has nothing to run.
(module
  (memory (export "memory") 1)
  (func (export "main")))
