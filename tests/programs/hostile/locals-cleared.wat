;; trap: out of fuel
;; kind: time
;; Calls a function with 30,000 locals for ever: clearing them is work and costs fuel.
(module binary
  "\00asm\01\00\00\00"
  "\01\04\01\60\00\00"                           ;; types: one, () -> ()
  "\03\03\02\00\00"                              ;; functions: two, of type 0
  "\05\03\01\00\01"                              ;; memories: one page
  "\07\13\02"                                    ;; exports: two
  "\06memory\02\00"
  "\06_start\00\01"
  "\0a\12\02"                                    ;; code: two bodies
  "\06\01\b0\ea\01\7e\0b"                        ;; 30,000 locals of type i64
  "\09\00\03\40\10\00\0c\00\0b\0b")              ;; loop, call 0, br 0
