use super::*;

fn import(root: Hash, chunks: &[Vec<u8>]) -> Result<Map, SnapshotError> {
    let mut import = Import::new(root);
    for chunk in chunks {
        import.accept(chunk)?;
    }
    import.finish()
}

/// More than two chunks of entries.
fn large() -> Model {
    let mut model = numbered(150);
    for (value, size) in model.values_mut().zip([VALUE_BYTES_MAX, 0, 15_000].iter().cycle()) {
        value.resize(*size, 1);
    }
    for number in 0..100_u8 {
        model.insert(vec![4, number, 7], vec![number; VALUE_BYTES_MAX]);
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_snapshot_rebuilds_the_map(model in models(0..100)) {
        let map = map_of(&model);
        let chunks: Vec<_> = map.chunks().collect();
        prop_assert_eq!(chunks.len(), usize::from(!model.is_empty()));
        assert_same(&import(map.root(), &chunks).unwrap(), &model);
    }

    #[test]
    fn hostile_bytes_are_no_chunk(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Chunk::open(&[1; 32], &bytes).is_err());
    }
}

#[test]
fn chunks_are_bounded_and_each_is_verified_on_its_own() {
    let (model, map) = (large(), map_of(&large()));
    let chunks: Vec<_> = map.chunks().collect();
    assert!(chunks.len() > 2);
    for (at, bytes) in chunks.iter().enumerate() {
        assert!(bytes.len() <= CHUNK_BYTES_MAX);
        let chunk = Chunk::open(&map.root(), bytes).unwrap();
        assert_eq!(chunk.begins_map(), at == 0);
        assert_eq!(chunk.ends_map(), at == chunks.len() - 1);
        let (first, last) = (chunk.entries()[0].0, chunk.entries().last().unwrap().0);
        let expected = model.range(first.to_vec()..=last.to_vec());
        let expected = expected.map(|(key, value)| (&key[..], &value[..]));
        assert!(expected.eq(chunk.entries().iter().copied()));
    }
    assert_same(&import(map.root(), &chunks).unwrap(), &model);
}

#[test]
fn chunks_out_of_turn_are_refused_and_the_import_goes_on() {
    let map = map_of(&large());
    let chunks: Vec<_> = map.chunks().collect();
    let mut import = Import::new(map.root());
    assert_eq!(import.accept(&chunks[1]), Err(SnapshotError::NotNext));
    import.accept(&chunks[0]).unwrap();
    assert_eq!(import.accept(&chunks[0]), Err(SnapshotError::NotNext));
    assert_eq!(import.accept(&chunks[2]), Err(SnapshotError::NotNext));
    while let Some(from) = import.wants() {
        let chunk = map.chunk(from).unwrap();
        import.accept(&chunk).unwrap();
    }
    assert_eq!(import.accept(&chunks[0]), Err(SnapshotError::Complete));
    assert_eq!(import.finish().unwrap().len(), map.len());
    let mut partial = Import::new(map.root());
    partial.accept(&chunks[0]).unwrap();
    assert_eq!(partial.finish().err(), Some(SnapshotError::Incomplete));
}

#[test]
fn a_chunk_that_goes_no_further_is_refused() {
    let map = map_of(&large());
    let mut import = Import::new(map.root());
    import.accept(&map.chunk(&[]).unwrap()).unwrap();
    let from = import.wants().unwrap().to_vec();
    let stuck = forge(&map, &[&from]);
    assert!(Chunk::open(&map.root(), &stuck).is_ok());
    assert_eq!(import.accept(&stuck), Err(SnapshotError::NotNext));
}

/// A chunk with the entries of these keys, with the edges of the first and the last.
fn forge(map: &Map, keys: &[&Vec<u8>]) -> Vec<u8> {
    let entries: Vec<_> = keys.iter().map(|key| (&key[..], map.get(key).unwrap())).collect();
    forge_entries(map, &entries)
}

fn forge_entries(map: &Map, entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let edge = |key: &[u8], takes: bool| {
        let (mut steps, _) = proof::trace(&map.top, key).unwrap();
        steps.retain(|step| step.bit.of(key) == takes);
        steps
    };
    let mut bytes = Vec::new();
    wire::write_steps(&edge(entries[0].0, true), &mut bytes);
    bytes.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
    for (key, value) in entries {
        bytes.extend(leaf::write_head(key, value));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    wire::write_steps(&edge(entries.last().unwrap().0, false), &mut bytes);
    bytes
}

#[test]
fn a_chunk_that_omits_adds_or_alters_an_entry_is_refused() {
    let model = numbered(60);
    let map = map_of(&model);
    let root = map.root();
    let keys: Vec<_> = model.keys().collect();
    for (from, to) in [(0, 60), (0, 7), (10, 30), (31, 32), (50, 60)] {
        let honest = &keys[from..to];
        assert!(Chunk::open(&root, &forge(&map, honest)).is_ok());
        let entries: Vec<_> = honest.iter().map(|key| (&key[..], map.get(key).unwrap())).collect();
        for at in 0..entries.len() {
            let mut omitted = entries.clone();
            omitted.remove(at);
            if at > 0 && at + 1 < entries.len() {
                assert!(Chunk::open(&root, &forge_entries(&map, &omitted)).is_err());
            }
            let mut altered = entries.clone();
            altered[at].1 = b"another value";
            assert!(Chunk::open(&root, &forge_entries(&map, &altered)).is_err());
            let mut added = entries.clone();
            let extra = [altered[at].0, &[0]].concat();
            added.insert(at + 1, (&extra, b"added"));
            assert!(Chunk::open(&root, &forge_entries(&map, &added)).is_err());
            let mut doubled = entries.clone();
            doubled.insert(at, entries[at]);
            assert!(Chunk::open(&root, &forge_entries(&map, &doubled)).is_err());
        }
    }
}

#[test]
fn every_changed_byte_of_a_chunk_is_noticed() {
    let model = numbered(24);
    let map = map_of(&model);
    let keys: Vec<_> = model.keys().collect();
    let bytes = forge(&map, &keys[8..14]);
    assert!(Chunk::open(&map.root(), &bytes).is_ok());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            assert!(Chunk::open(&map.root(), &bytes).is_err(), "byte {at}, bit {bit}");
        }
        assert!(Chunk::open(&map.root(), &bytes[..at]).is_err());
    }
    assert!(Chunk::open(&map.root(), &[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn the_snapshot_of_the_empty_map_has_no_chunks() {
    assert_eq!(Map::new().chunks().count(), 0);
    assert!(Import::new(EMPTY_ROOT).finish().unwrap().is_empty());
    let bytes = [0; 8];
    assert_eq!(Chunk::open(&EMPTY_ROOT, &bytes), Err(SnapshotError::OtherRoot));
}
