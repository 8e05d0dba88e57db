use super::*;

#[derive(Debug, Clone)]
enum Act {
    Insert(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    RemoveNth(usize),
    /// Many writes at once, in the order of keys or not, and some keys more than once.
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>, bool),
    Root,
    Fork,
    Switch(usize),
    Look(Vec<u8>),
}

fn acts() -> impl Strategy<Value = Act> {
    let writes = prop::collection::vec((keys(), prop::option::of(values())), 0..60);
    prop_oneof![
        4 => (writes, any::<bool>()).prop_map(|(writes, sorted)| Act::Write(writes, sorted)),
        12 => (keys(), values()).prop_map(|(key, value)| Act::Insert(key, value)),
        2 => keys().prop_map(Act::Remove),
        4 => any::<usize>().prop_map(Act::RemoveNth),
        1 => Just(Act::Root),
        1 => Just(Act::Fork),
        1 => any::<usize>().prop_map(Act::Switch),
        3 => keys().prop_map(Act::Look),
    ]
}

fn look(map: &Map, model: &Model, key: &[u8]) {
    let entry = |(key, value): (&'_ Vec<u8>, &'_ Vec<u8>)| (key.clone(), value.clone());
    assert_eq!(map.get(key), model.get(key).map(|value| &value[..]));
    assert_eq!(map.contains_key(key), model.contains_key(key));
    let after: Vec<_> = model.range(key.to_vec()..).map(entry).collect();
    let first = map.first_from(key).map(|(key, value)| (key.to_vec(), value.to_vec()));
    assert_eq!(first.as_ref(), after.first());
    assert!(map.range(key).eq(after.iter().map(|(key, value)| (&key[..], &value[..]))));
    let prefix = &key[..key.len().div_ceil(2)];
    let within = model.iter().filter(|(key, _)| key.starts_with(prefix));
    assert!(map.prefix(prefix).eq(within.map(|(key, value)| (&key[..], &value[..]))));
}

fn run(acts: Vec<Act>) {
    let mut forks = vec![(Map::new(), Model::new())];
    let mut current = 0;
    for act in acts {
        let (map, model) = &mut forks[current];
        match act {
            Act::Insert(key, value) => {
                assert_eq!(map.insert(&key, &value), Ok(!model.contains_key(&key)));
                model.insert(key, value);
            }
            Act::Remove(key) => assert_eq!(map.remove(&key), model.remove(&key).is_some()),
            Act::RemoveNth(nth) => {
                let nth = nth.checked_rem(model.len()).unwrap_or(0);
                if let Some(key) = model.keys().nth(nth).cloned() {
                    model.remove(&key);
                    assert!(map.remove(&key));
                }
            }
            Act::Write(mut writes, sorted) => {
                // Half of what is removed is there.
                let there: Vec<_> = model.keys().step_by(3).cloned().collect();
                let removed = there.into_iter().zip(&writes).map(|(key, _)| (key, None));
                writes.extend(removed.collect::<Vec<_>>());
                if sorted {
                    writes.sort();
                }
                let slices = writes.iter().map(|(key, value)| (&key[..], value.as_deref()));
                map.write(slices).unwrap();
                assert_sound(map);
                for (key, value) in writes {
                    match value {
                        Some(value) => drop(model.insert(key, value)),
                        None => drop(model.remove(&key)),
                    }
                }
                assert_eq!(map.len(), model.len());
            }
            Act::Root => {
                let entries: Vec<_> = model.iter().collect();
                assert_eq!(map.root(), root_by_equation(&entries));
            }
            Act::Fork => {
                let fork = (map.clone(), model.clone());
                forks.push(fork);
            }
            Act::Switch(fork) => current = fork % forks.len(),
            Act::Look(key) => look(map, model, &key),
        }
    }
    for (map, model) in &forks {
        assert_same(map, model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_map_and_its_forks_behave_like_a_plain_ordered_map(
        acts in prop::collection::vec(acts(), 0..250)
    ) {
        run(acts);
    }

    #[test]
    fn the_root_depends_on_the_content_only(
        (model, order) in models(0..120).prop_flat_map(|model| {
            let order: Vec<_> = model.clone().into_iter().collect();
            (Just(model), Just(order).prop_shuffle())
        }),
        extra in models(0..120),
    ) {
        let straight = map_of(&model);
        let mut detour = map_of(order.iter().map(|(key, value)| (key, value)));
        for (key, value) in &extra {
            if !model.contains_key(key) {
                detour.insert(key, value).unwrap();
            }
        }
        let nothing_extra = extra.keys().all(|key| model.contains_key(key));
        prop_assert_eq!(detour.root() == straight.root(), nothing_extra);
        for key in extra.keys().filter(|key| !model.contains_key(*key)) {
            prop_assert!(detour.remove(key));
        }
        prop_assert_eq!(detour.root(), straight.root());
        assert_same(&detour, &model);
    }
}

#[test]
fn thousands_of_entries_come_and_go() {
    let model = numbered(3000);
    let mut map = map_of(&model);
    assert_same(&map, &model);
    let fork = map.clone();
    let mut left = model.clone();
    for key in model.keys().filter(|key| key.last().is_some_and(|byte| byte % 8 != 0)) {
        assert!(map.remove(key));
        left.remove(key);
    }
    assert_same(&map, &left);
    for key in left.keys() {
        assert!(map.remove(key));
    }
    assert_same(&map, &Model::new());
    assert_same(&fork, &model);
}

#[test]
fn the_format_is_pinned() {
    let map = map_of(&numbered(1000));
    assert_eq!(
        hex(&map.root()),
        "37174b8d82f78e9d9651f7e3a0334032aa94d01e1b7e7e52ac28f25f8e68f5f9"
    );
}

#[test]
fn leaves_of_every_length_are_hashed_as_the_equation_says() {
    // Up to a chunk of BLAKE3 and beyond, many of each number of blocks.
    let lengths = (0..1_100).chain([2_048, VALUE_BYTES_MAX]);
    let model: Model = (0_u16..)
        .zip(lengths)
        .map(|(number, length)| {
            (number.to_le_bytes().to_vec(), vec![number.to_le_bytes()[0]; length])
        })
        .collect();
    assert_same(&map_of(&model), &model);
}

#[test]
fn more_branches_than_are_hashed_together_are_hashed_as_the_equation_says() {
    let model = numbered(10_000);
    let map = map_of(&model);
    assert_same(&map, &model);
    assert_eq!(unhashed(&map), 0);
}

#[test]
fn the_empty_map_has_the_empty_root() {
    let mut map = Map::new();
    assert_eq!(map.root(), EMPTY_ROOT);
    assert_eq!((map.len(), map.get(b"k"), map.first_from(b"")), (0, None, None));
    assert!(!map.remove(b"k"));
    map.insert(b"k", b"v").unwrap();
    assert_ne!(map.root(), EMPTY_ROOT);
    assert!(map.remove(b"k"));
    assert_eq!(map.root(), EMPTY_ROOT);
}

#[test]
fn bounds_hold_at_n_and_fail_at_n_plus_one() {
    let mut map = Map::new();
    let (key, value) = (vec![1; KEY_BYTES_MAX], vec![2; VALUE_BYTES_MAX]);
    assert_eq!(map.insert(&key, &value), Ok(true));
    assert_eq!(map.insert(&[1; KEY_BYTES_MAX + 1], &[]), Err(BoundError::Key(97)));
    assert_eq!(map.insert(&[], &[]), Err(BoundError::Key(0)));
    assert_eq!(map.insert(b"k", &[2; VALUE_BYTES_MAX + 1]), Err(BoundError::Value(16385)));
    assert_eq!(map.len(), 1);
    assert_eq!(map.get(&key), Some(&value[..]));
    assert_eq!(map.get(&[1; KEY_BYTES_MAX + 1]), None);
    assert_eq!(map.first_from(&[1; KEY_BYTES_MAX + 1]), None);
    assert_eq!(map.first_from(&[0; 300]).map(|(key, _)| key), Some(&key[..]));
    assert!(!map.remove(&[]));
}

/// A key and all keys that leave its path, one at each bit.
fn deepest() -> Model {
    let stem = vec![0x5a; KEY_BYTES_MAX];
    let mut model = Model::from([(stem.clone(), vec![])]);
    for byte in 0..KEY_BYTES_MAX {
        model.insert(stem[..=byte].to_vec(), vec![]);
        for bit in 0..8 {
            let mut key = stem[..=byte].to_vec();
            key[byte] ^= 1 << bit;
            model.insert(key, vec![1]);
        }
    }
    assert_eq!(model.len(), PATH_STEPS_MAX + 1);
    model
}

#[test]
fn the_deepest_trie_needs_little_stack() {
    let act = || {
        let model = deepest();
        let mut map = map_of(&model);
        let stem = vec![0x5a; KEY_BYTES_MAX];
        let proof = map.prove(&stem).unwrap();
        assert!(proof.encode().len() > PATH_STEPS_MAX * 34);
        assert_eq!(verify(&map.root(), &stem, &proof), Ok(Some(vec![])));
        assert_same(&map, &model);
        let fork = map.clone();
        for key in model.keys().rev().step_by(2) {
            assert!(map.remove(key));
        }
        drop(map);
        assert_same(&fork, &model);
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(act).unwrap();
    thread.join().unwrap();
}

fn unhashed(map: &Map) -> usize {
    match &map.top {
        Child::Node(node) => node.unhashed(),
        _ => 0,
    }
}

#[test]
fn a_value_written_often_is_hashed_once() {
    let model = numbered(2000);
    let mut map = map_of(&model);
    assert!(unhashed(&map) > 4000);
    let _ = map.root();
    assert_eq!(unhashed(&map), 0);
    let key = model.keys().nth(700).unwrap();
    for turn in 0..100 {
        map.insert(key, &[turn]).unwrap();
    }
    let path = map.prove(key).unwrap().encode().len() / 34;
    let _ = map.root();
    map.insert(key, &[100]).unwrap();
    // The path's branches and leaf, and for each node on it the place in its parent.
    assert!((path..2 * path).contains(&unhashed(&map)));
    let before = map.root();
    map.insert(key, &[100]).unwrap();
    assert_eq!(unhashed(&map), 0);
    assert_eq!(map.root(), before);
}

#[test]
fn forks_share_what_either_hashes() {
    let map = map_of(&numbered(500));
    let fork = map.clone();
    let root = fork.root();
    assert_eq!(unhashed(&map), 0);
    assert_eq!(map.root(), root);
}

#[test]
fn forks_share_nodes_until_written_and_a_sole_owner_copies_none() {
    let top = |map: &Map| match &map.top {
        Child::Node(node) => Arc::as_ptr(node),
        _ => panic!("the map has one entry at most"),
    };
    let mut map = map_of(&numbered(500));
    let before = top(&map);
    map.insert(&[9], &[9]).unwrap();
    assert_eq!(top(&map), before);
    let mut fork = map.clone();
    assert_eq!(top(&fork), before);
    fork.insert(&[9], &[8]).unwrap();
    assert_ne!(top(&fork), before);
    assert_eq!((map.get(&[9]), fork.get(&[9])), (Some(&[9][..]), Some(&[8][..])));
    map.insert(&[9], &[7]).unwrap();
    assert_eq!(top(&map), before);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about threads")]
fn two_threads_may_ask_for_the_root_of_shared_nodes() {
    let map = map_of(&numbered(2000));
    let expected = map_of(&numbered(2000)).root();
    std::thread::scope(|scope| {
        let roots = [(); 4].map(|()| scope.spawn(|| map.root()));
        for root in roots {
            assert_eq!(root.join().unwrap(), expected);
        }
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about threads")]
fn forks_written_differently_may_be_rooted_at_once() {
    let base = numbered(300);
    for round in 0..50_u8 {
        let mut map = map_of(&base);
        let _ = map.root();
        // What is shared is not hashed, and every fork has a top of its own.
        let value = [round];
        let shared = base.keys().step_by(3).map(|key| (&key[..], Some(&value[..])));
        map.write(shared).unwrap();
        let forks = [0_u8, 1, 2, 3].map(|fork| {
            let mut map = map.clone();
            map.insert(b"fork", &[fork]).unwrap();
            map
        });
        let start = std::sync::Barrier::new(forks.len());
        std::thread::scope(|scope| {
            let roots = forks.each_ref().map(|fork| {
                scope.spawn(|| {
                    start.wait();
                    fork.root()
                })
            });
            for (fork, root) in forks.iter().zip(roots) {
                assert_eq!(root.join().unwrap(), map_of(&content(fork)).root());
            }
        });
    }
}

fn content(map: &Map) -> Model {
    map.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}
