use proptest::{collection::vec, prelude::*};

use super::*;
use crate::claim::Decimal;

fn atom(index: usize) -> Expression {
    let key = ClaimKey::new(&format!("k{index}")).unwrap();
    Expression::Atom(Atom { key, test: Test::Has, minimum: Provenance::Declared })
}

fn test(test: Test) -> Result<Constraint, InvalidConstraint> {
    let key = ClaimKey::new("k").unwrap();
    Constraint::new(Expression::Atom(Atom { key, test, minimum: Provenance::Declared }))
}

/// An expression of `levels` levels: `!` and grouped `||` under `&&` in turn.
fn nested(levels: usize) -> Expression {
    (0..levels).fold(atom(0), |inner, level| match level.is_multiple_of(2) {
        true => Expression::Not(Box::new(inner)),
        false => inner.or(atom(1)).and(atom(2)),
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<u64>().prop_map(Value::Bytes),
        (0..5_000_u64, 0..41_u32).prop_map(|(count, shift)| Value::Bytes(count << shift)),
        any::<i64>().prop_map(|micro| Value::Decimal(Decimal::from_micro(micro))),
        prop::sample::select(vec![-500_000, -1, 0, 10, 2_000_000])
            .prop_map(|micro| Value::Decimal(Decimal::from_micro(micro))),
        ".{0,16}".prop_map(|text| Value::text(&text).unwrap()),
        r#"[a-c"\\\n\u{7f}\u{85}]{0,6}"#.prop_map(|text| Value::text(&text).unwrap()),
        prop::sample::select(vec![0, 1, 1_500, 60_000, 5_400_000, 86_400_000])
            .prop_map(|ms| Value::Duration(Duration::from_ms(ms))),
    ]
}

fn any_test() -> impl Strategy<Value = Test> {
    let comparison = || prop::sample::select(Comparison::ALL.to_vec());
    prop_oneof![
        (comparison(), value()).prop_map(|(comparison, value)| {
            let order = comparison.needs_order() && !value.is_ordered();
            Test::Compare(if order { Comparison::Equal } else { comparison }, value)
        }),
        vec(any::<i64>().prop_map(Value::Integer), 1..4)
            .prop_map(|values| Test::In(List::new(values).unwrap())),
        value().prop_map(|value| Test::In(List::new(vec![value]).unwrap())),
        (comparison(), any::<u64>())
            .prop_map(|(comparison, ms)| Test::Age(comparison, Duration::from_ms(ms))),
        Just(Test::Has),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    let atom = ("[a-z]{1,3}x(\\.[a-z0-9][a-z0-9_-]{0,4}){0,2}", any_test(), 0..3_usize).prop_map(
        |(key, test, minimum)| {
            let key = ClaimKey::new(&key).unwrap();
            Expression::Atom(Atom { key, test, minimum: Provenance::ALL[minimum] })
        },
    );
    let leaf = prop_oneof![9 => atom, 1 => Just(Expression::True)];
    leaf.prop_recursive(6, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| left.and(right)),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| left.or(right)),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

fn constraint() -> impl Strategy<Value = Constraint> {
    expression().prop_filter_map("within the bounds", |expression| Constraint::new(expression).ok())
}

#[test]
fn a_constraint_takes_64_atoms_and_not_65() {
    let all = |count| Expression::And((0..count).map(atom).collect());
    let full = Constraint::new(all(ATOMS_MAX)).unwrap();
    assert_eq!(Constraint::from_bytes(&full.to_bytes()), Ok(full));
    assert_eq!(Constraint::new(all(65)), Err(InvalidConstraint::TooManyAtoms));
    let refused = Constraint::from_bytes(&all(65).to_bytes());
    assert_eq!(refused, Err(DecodeError::TooLong { found: 65, bound: 64 }));
    let spread = all(40).or(all(25)).to_bytes();
    assert_eq!(Constraint::from_bytes(&spread), Err(INVALID));
}

#[test]
fn a_constraint_takes_16_levels_and_not_17() {
    let full = Constraint::new(nested(NESTING_MAX)).unwrap();
    assert_eq!(Constraint::from_bytes(&full.to_bytes()).as_ref(), Ok(&full));
    assert_eq!(parse(&full.to_string()), Ok(full));
    assert_eq!(Constraint::new(nested(17)), Err(InvalidConstraint::TooDeep));
    assert_eq!(Constraint::from_bytes(&nested(17).to_bytes()), Err(INVALID));
}

#[test]
fn decoding_stops_at_the_bounds_however_deep_the_input_is() {
    assert_eq!(Constraint::from_bytes(&[NOT; 1_000_000]), Err(INVALID));
    let ands = [AND, 2, 0, 0, 0].repeat(200_000);
    assert_eq!(Constraint::from_bytes(&ands), Err(INVALID));
    let turns = [AND, 2, 0, 0, 0, OR, 2, 0, 0, 0].repeat(100_000);
    assert_eq!(Constraint::from_bytes(&turns), Err(INVALID));
}

#[test]
fn the_canonical_text_takes_2048_bytes_and_not_2049() {
    let of_length = |length: usize| {
        let atoms = (0..22).map(|_| {
            let values = vec![Value::text(&"x".repeat(60)).unwrap()];
            let key = ClaimKey::new(&"k".repeat(20)).unwrap();
            let test = Test::In(List::new(values).unwrap());
            Expression::Atom(Atom { key, test, minimum: Provenance::Declared })
        });
        let mut all = Expression::And(atoms.collect());
        let fill = length - print::length(&all) - " && has()".len();
        let key = ClaimKey::new(&"f".repeat(fill)).unwrap();
        all =
            all.and(Expression::Atom(Atom { key, test: Test::Has, minimum: Provenance::Declared }));
        all
    };
    let full = Constraint::new(of_length(2_048)).unwrap();
    assert_eq!(full.to_string().len(), 2_048);
    assert_eq!(Constraint::from_bytes(&full.to_bytes()).as_ref(), Ok(&full));
    assert_eq!(parse(&full.to_string()), Ok(full));
    let long = of_length(2_049);
    assert_eq!(Constraint::from_bytes(&long.to_bytes()), Err(INVALID));
    assert_eq!(Constraint::new(long), Err(InvalidConstraint::TooLong { found: 2_049 }));
}

#[test]
fn what_has_a_shorter_form_is_not_canonical() {
    let part = || atom(0).and(atom(1));
    for expression in [
        Expression::And(vec![]),
        Expression::Or(vec![atom(0)]),
        Expression::And(vec![part(), atom(2)]),
    ] {
        assert_eq!(Constraint::from_bytes(&expression.to_bytes()), Err(INVALID));
        assert_eq!(Constraint::new(expression), Err(InvalidConstraint::NotCanonical));
    }
}

#[test]
fn lists_hold_values_of_one_kind() {
    let list = |values: Vec<Value>| test(Test::In(List::new(values).unwrap()));
    let text = Value::text("eu").unwrap();
    assert_eq!(list(vec![]), Err(InvalidConstraint::EmptyList));
    assert_eq!(list(vec![Value::Integer(1), text]), Err(InvalidConstraint::MixedList));
    assert!(list(vec![Value::Integer(1), Value::Bytes(1)]).is_ok());
}

#[test]
fn text_and_booleans_have_no_order() {
    for value in [Value::Bool(true), Value::text("eu").unwrap()] {
        for comparison in Comparison::ALL {
            let made = test(Test::Compare(comparison, value.clone()));
            assert_eq!(made.is_ok(), !comparison.needs_order());
        }
    }
}

#[test]
fn the_default_accepts_every_provider() {
    assert_eq!(Constraint::default().to_string(), "true");
    assert_eq!(Constraint::from_bytes(&[TRUE]), Ok(Constraint::default()));
}

#[test]
fn the_encoding_is_pinned() {
    let text = "k >= 2GiB @measured && !(age(k) < 1s || k in [true])";
    let key = [1, 0, 0, 0, b'k'];
    let mut bytes = vec![AND, 2, 0, 0, 0, ATOM];
    bytes.extend(key);
    bytes.extend([0, 4, 2, 0, 0, 0, 128, 0, 0, 0, 0, 1]);
    bytes.extend([NOT, OR, 2, 0, 0, 0, ATOM]);
    bytes.extend(key);
    bytes.extend([2, 0, 232, 3, 0, 0, 0, 0, 0, 0, 0, ATOM]);
    bytes.extend(key);
    bytes.extend([1, 1, 0, 0, 0, 0, 1, 0]);
    assert_eq!(parse(text).unwrap().to_bytes(), bytes);
}

#[test]
fn json_is_the_text() {
    let json = r#""region == \"eu\" && age(gpu.vram) < 7d""#;
    let constraint: Constraint = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&constraint).unwrap(), json);
    let error = serde_json::from_str::<Constraint>(r#""a = 1""#).unwrap_err().to_string();
    assert!(error.contains("at byte 2") && error.contains("write `==`"), "{error}");
}

proptest! {
    #[test]
    fn the_text_of_a_constraint_parses_to_it(constraint in constraint()) {
        prop_assert_eq!(parse(&constraint.to_string()), Ok(constraint));
    }

    #[test]
    fn the_encoding_of_a_constraint_decodes_to_it(constraint in constraint()) {
        let bytes = constraint.to_bytes();
        prop_assert_eq!(Constraint::from_bytes(&bytes), Ok(constraint));
    }

    #[test]
    fn any_bytes_decode_to_their_own_encoding_or_not_at_all(
        bytes in vec(prop_oneof![0_u8..6, any::<u8>()], 0..64),
    ) {
        if let Ok(constraint) = Constraint::from_bytes(&bytes) {
            prop_assert_eq!(constraint.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_changed_byte_gives_another_constraint_or_none(
        constraint in constraint(),
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let mut bytes = constraint.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(changed) = Constraint::from_bytes(&bytes) {
            prop_assert_eq!(changed.to_bytes(), bytes);
            prop_assert_eq!(parse(&changed.to_string()), Ok(changed));
        }
    }
}
