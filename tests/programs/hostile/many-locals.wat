;; refused: locals of a function
;; kind: module
;; One function with 50,000 locals: more than the metering specification allows, fewer than the
;; format does. In bytes, since the text format would name each of them.
(module binary
  "\00asm\01\00\00\00"
  "\01\04\01\60\00\00"                           ;; types: one, () -> ()
  "\03\02\01\00"                                 ;; functions: one, of type 0
  "\05\03\01\00\01"                              ;; memories: one page
  "\07\13\02"                                    ;; exports: two
  "\06memory\02\00"
  "\06_start\00\00"
  "\0a\08\01\06\01\d0\86\03\7e\0b")              ;; code: 50,000 locals of type i64
