;; exit: 51
;; kind: output
;; Sets a file's size to almost 2^63 bytes and ends with the error's number (no space).
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size"
    (func $fd_filestat_set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; Returns the descriptor of the pre-opened folder whose name ends with "out".
  (func $out (result i32)
    (local $fd i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (if (call $fd_prestat_get (local.get $fd) (i32.const 16)) (then unreachable))
      (if (i32.eq (i32.load (i32.const 20)) (i32.const 4))
        (then
          (drop (call $fd_prestat_dir_name (local.get $fd) (i32.const 32) (i32.const 4)))
          (if (i32.eq (i32.load (i32.const 32)) (i32.const 0x74756f2f))
            (then (return (local.get $fd))))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next))
    unreachable)
  (data (i32.const 64) "sparse")
  (func (export "_start")
    ;; The rights to write and to set the size.
    (if
      (call $path_open (call $out) (i32.const 0) (i32.const 64) (i32.const 6)
        (i32.const 5) (i64.const 0x400040) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (call $proc_exit
      (call $fd_filestat_set_size (i32.load (i32.const 8)) (i64.const 0x7fffffffffffff00)))))
