;; exit: 37
;; kind: output
;; Makes a directory in a directory until it is refused (name too long).
(module
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $length i32)
    (local $error i32)
    (local.set $length (i32.const 1))
    (loop $again
      (i32.store8 (i32.add (local.get $length) (i32.const 63)) (i32.const 0x61))
      (local.set $error
        (call $path_create_directory (i32.const 5) (i32.const 64) (local.get $length)))
      (i32.store8 (i32.add (local.get $length) (i32.const 64)) (i32.const 0x2f))
      (local.set $length (i32.add (local.get $length) (i32.const 2)))
      (br_if $again (i32.eqz (local.get $error))))
    (call $proc_exit (local.get $error))))
