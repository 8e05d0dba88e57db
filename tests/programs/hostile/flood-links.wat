;; exit: 51
;; kind: output
;; Writes one file until it is refused, gives it names in /out until that is refused too, and ends
;; with the error's number (no space).
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link"
    (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
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
  (data (i32.const 64) "aaaaaaaalarge")
  (func (export "_start")
    (local $error i32)
    ;; /out is descriptor 5.
    (if
      (call $path_open (i32.const 5) (i32.const 0) (i32.const 72) (i32.const 5)
        (i32.const 5) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8))
      (then unreachable))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 65536))
    (loop $again
      (br_if $again
        (i32.eqz
          (call $fd_write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 12)))))
    (loop $again
      (call $name)
      (local.set $error
        (call $path_link (i32.const 5) (i32.const 0) (i32.const 72) (i32.const 5)
          (i32.const 5) (i32.const 64) (i32.const 8)))
      (br_if $again (i32.eqz (local.get $error))))
    (call $proc_exit (local.get $error))))
