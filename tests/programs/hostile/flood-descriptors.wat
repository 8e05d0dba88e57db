;; exit: 33
;; kind: descriptor
;; Opens one file again and again and ends with the error's number (too many open files).
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
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
  (data (i32.const 64) "same")
  (func (export "_start")
    (local $out i32)
    (local $error i32)
    (local.set $out (call $out))
    (loop $again
      ;; Create; the right to write.
      (local.set $error
        (call $path_open (local.get $out) (i32.const 0) (i32.const 64) (i32.const 4)
          (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
      (br_if $again (i32.eqz (local.get $error))))
    (call $proc_exit (local.get $error))))
