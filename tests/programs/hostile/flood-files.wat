;; exit: 51
;; kind: output
;; Makes empty files in /out until it is refused, and ends with the error's number (no space).
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
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
  ;; Counts up in the eight letters at 64.
  (func $name
    (local $place i32)
    (local.set $place (i32.const 71))
    (loop $carry
      (i32.store8 (local.get $place)
        (i32.add (i32.load8_u (local.get $place)) (i32.const 1)))
      (if (i32.gt_u (i32.load8_u (local.get $place)) (i32.const 0x7a))
        (then
          (i32.store8 (local.get $place) (i32.const 0x61))
          (local.set $place (i32.sub (local.get $place) (i32.const 1)))
          (br $carry)))))
  (data (i32.const 64) "aaaaaaaa")
  (func (export "_start")
    (local $out i32)
    (local $error i32)
    (local.set $out (call $out))
    (loop $again
      (call $name)
      ;; Create, fail if it exists; the right to write.
      (local.set $error
        (call $path_open (local.get $out) (i32.const 0) (i32.const 64) (i32.const 8)
          (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
      (if (local.get $error) (then (call $proc_exit (local.get $error))))
      (drop (call $fd_close (i32.load (i32.const 8))))
      (br $again))))
