;; exit: 51
;; kind: output
;; Writes one file in /out until a write fails, and ends with the error's number (no space).
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
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
  (data (i32.const 64) "large")
  (func (export "_start")
    (local $error i32)
    (if
      (call $path_open (call $out) (i32.const 0) (i32.const 64) (i32.const 5)
        (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 65536))
    (loop $again
      (local.set $error
        (call $fd_write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))
      (br_if $again (i32.eqz (local.get $error))))
    (call $proc_exit (local.get $error))))
