;; The program of the self-test: an endless mix of what programs do, ended by its fuel.
;; Integer arithmetic with data dependencies, loads and stores over 1 MiB, a branch in each round.
(module
  (memory (export "memory") 16)
  (func (export "_start")
    (local $state i64)
    (local $at i32)
    (local.set $state (i64.const 0x9e3779b97f4a7c15))
    (loop $round
      ;; One step of a xorshift generator.
      (local.set $state
        (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
      (local.set $state
        (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
      (local.set $state
        (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
      ;; A random place in memory gets what stood there, mixed with the state.
      (local.set $at
        (i32.and (i32.wrap_i64 (local.get $state)) (i32.const 0xffff8)))
      (i64.store (local.get $at)
        (i64.mul
          (i64.add (i64.load (local.get $at)) (local.get $state))
          (i64.const 0x2545f4914f6cdd1d)))
      (br_if $round (i64.ne (local.get $state) (i64.const 0))))))
