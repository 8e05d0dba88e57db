use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn proofs_say_what_the_map_says(model in models(0..80), asked in keys()) {
        let map = map_of(&model);
        let root = map.root();
        for key in model.keys().take(8).chain([&asked]) {
            let proof = map.prove(key).unwrap();
            let bytes = proof.encode();
            prop_assert!(bytes.len() <= PROOF_BYTES_MAX);
            let read = Proof::decode(&bytes).unwrap();
            prop_assert_eq!(&read, &proof);
            prop_assert_eq!(verify(&root, key, &read), Ok(model.get(key).cloned()));
        }
    }

    #[test]
    fn a_proof_moved_to_another_key_or_map_proves_nothing_false(
        model in models(1..60),
        other in models(0..60),
        asked in prop::collection::vec(keys(), 1..12),
    ) {
        let (map, other) = (map_of(&model), map_of(&other));
        let root = map.root();
        for from in model.keys().take(10).chain(&asked) {
            for proof in [map.prove(from).unwrap(), other.prove(from).unwrap()] {
                for key in model.keys().chain(&asked) {
                    if let Ok(value) = verify(&root, key, &proof) {
                        prop_assert_eq!(value.as_ref(), model.get(key));
                    }
                }
            }
        }
    }

    #[test]
    fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(proof) = Proof::decode(&bytes) {
            prop_assert_eq!(proof.encode(), bytes);
            prop_assert!(verify(&[1; 32], b"key", &proof).is_err());
        }
    }
}

/// Checks that the proof of a key shows nothing once any byte of it, or of the root, is another.
fn check_mutations(map: &Map, key: &[u8]) {
    let root = map.root();
    let bytes = map.prove(key).unwrap().encode();
    assert!(verify(&root, key, &Proof::decode(&bytes).unwrap()).is_ok());
    for at in 0..bytes.len() {
        for change in (0..8).map(|bit| 1 << bit).chain([0xff]) {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let shown = Proof::decode(&bytes).and_then(|proof| verify(&root, key, &proof));
            assert!(shown.is_err(), "byte {at} changed by {change:#x} shows {shown:?}");
        }
        assert_eq!(Proof::decode(&bytes[..at]), Err(ProofError::Malformed));
    }
    let proof = Proof::decode(&bytes).unwrap();
    for at in 0..32 {
        let mut root = root;
        root[at] ^= 1;
        assert!(verify(&root, key, &proof).is_err());
    }
    for at in 0..key.len() {
        for bit in 0..8 {
            let mut key = key.to_vec();
            key[at] ^= 1 << bit;
            if let Ok(value) = verify(&root, &key, &proof) {
                assert_eq!(value.as_deref(), map.get(&key));
            }
        }
    }
    assert_eq!(Proof::decode(&[&bytes[..], &[0]].concat()), Err(ProofError::Malformed));
}

#[test]
fn every_changed_byte_of_a_proof_is_noticed() {
    let model = numbered(40);
    let mut map = map_of(&model);
    for key in model.keys().step_by(13) {
        check_mutations(&map, key);
        check_mutations(&map, &[&key[..], &[0]].concat());
        check_mutations(&map, &key[..key.len() - 1]);
    }
    for key in model.keys() {
        map.remove(key);
        if map.len() < 3 {
            check_mutations(&map, key);
        }
    }
}

#[test]
fn absence_cannot_be_shown_by_leaving_the_path_out() {
    let map = map_of(&numbered(64));
    let key = numbered(64).into_keys().nth(20).unwrap();
    let (steps, _) = proof::trace(&map.top, &key).unwrap();
    for (at, other) in numbered(64).into_keys().enumerate() {
        let forged = map.prove(&[&other[..], &[0]].concat()).unwrap();
        let shown = verify(&map.root(), &key, &forged);
        assert!(shown.is_err(), "entry {at} shows {shown:?} over {} steps", steps.len());
    }
}

#[test]
fn keys_that_no_map_can_hold_have_no_proof() {
    let map = map_of(&numbered(3));
    let proof = map.prove(b"k").unwrap();
    for key in [&[][..], &[0; KEY_BYTES_MAX + 1]] {
        let bound = BoundError::Key(key.len());
        assert_eq!(map.prove(key), Err(bound));
        assert_eq!(verify(&map.root(), key, &proof), Err(ProofError::Key(bound)));
    }
}
