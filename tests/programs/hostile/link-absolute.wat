;; exit: 63
;; kind: file
;; Makes a link to a file of the machine, which is refused at once (not permitted).
(module
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "link/etc/passwd")
  (func (export "_start")
    (call $proc_exit
      (call $path_symlink
        (i32.const 68) (i32.const 11) (i32.const 3) (i32.const 64) (i32.const 4)))))
