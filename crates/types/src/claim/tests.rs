use proptest::prelude::*;

use super::*;

fn key(text: &str) -> ClaimKey {
    ClaimKey::new(text).unwrap()
}

fn claim(value: Value) -> Claim {
    Claim { value, provenance: Provenance::Measured, at: Time::from_ms(1_000) }
}

fn numbered(count: usize) -> Claims {
    let mut claims = Claims::new();
    for index in 0..count {
        claims.insert(key(&format!("k{index}")), claim(Value::Bool(true))).unwrap();
    }
    claims
}

#[test]
fn keys_are_dotted_lower_case_names() {
    for text in ["a", "gpu.vram", "gpu.0.vram", "cpu.x86-64_v3", "ages", "has.age"] {
        assert_eq!(key(text).as_str(), text);
    }
    for text in [
        "", ".", "a.", ".a", "a..b", "A", "0a", "-a", "_a", "a.-b", "a._b", "a-.", "a b", "é",
        "in", "age",
    ] {
        assert_eq!(ClaimKey::new(text), Err(InvalidClaimKey), "{text}");
    }
}

#[test]
fn a_key_takes_64_bytes_and_not_65() {
    assert!(ClaimKey::new(&"k".repeat(64)).is_ok());
    assert!(ClaimKey::new(&"k".repeat(65)).is_err());
}

#[test]
fn a_decoded_key_is_a_valid_key() {
    let bytes = Text::<64>::new("Gpu").unwrap().to_bytes();
    assert_eq!(ClaimKey::from_bytes(&bytes), Err(DecodeError::Invalid("claim key")));
}

#[test]
fn provenance_orders_from_declared_to_attested() {
    assert!(Provenance::ALL.is_sorted());
    assert!(Provenance::Declared < Provenance::Measured);
    assert!(Provenance::Measured < Provenance::Attested);
}

#[test]
fn a_map_takes_64_claims_and_not_65() {
    let mut claims = numbered(CLAIMS_MAX);
    assert_eq!(Claims::from_bytes(&claims.to_bytes()).as_ref(), Ok(&claims));
    let replaced = claims.insert(key("k0"), claim(Value::Bool(false)));
    assert_eq!(replaced, Ok(Some(claim(Value::Bool(true)))));
    assert_eq!(claims.insert(key("k64"), claim(Value::Bool(true))), Err(TooManyClaims));

    let refused = Claims::from_bytes(&65_u32.to_le_bytes());
    assert_eq!(refused, Err(DecodeError::TooLong { found: 65, bound: 64 }));
}

#[test]
fn a_removed_claim_is_gone_and_the_others_stay() {
    let mut claims = numbered(3);
    assert_eq!(claims.remove("k1"), Some(claim(Value::Bool(true))));
    assert_eq!(claims.remove("k1"), None);
    assert_eq!(claims.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["k0", "k2"]);
    assert_eq!(claims.len(), 2);
    assert!(!claims.is_empty() && claims.get("k1").is_none() && claims.get("k2").is_some());
}

#[test]
fn keys_out_of_order_or_twice_are_not_a_map() {
    let encode = |keys: &[&str]| {
        let mut out = Vec::new();
        encode_count(keys.len(), &mut out);
        for text in keys {
            key(text).encode(&mut out);
            claim(Value::Integer(1)).encode(&mut out);
        }
        out
    };
    assert!(Claims::from_bytes(&encode(&["a", "b"])).is_ok());
    for keys in [["b", "a"], ["a", "a"]] {
        let refused = Claims::from_bytes(&encode(&keys)).unwrap_err();
        assert_eq!(refused, DecodeError::Invalid("map of claims: keys out of order"));
    }
}

#[test]
fn json_names_the_unit_of_what_json_has_no_type_for() {
    let check = |value: Value, json: &str| {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value);
    };
    check(Value::Bool(true), "true");
    check(Value::Integer(-8), "-8");
    check(Value::text("eu").unwrap(), r#""eu""#);
    check(Value::Bytes(u64::MAX), r#"{"bytes":18446744073709551615}"#);
    check(Value::Decimal(Decimal::from_micro(-250_000)), r#"{"decimal":"-0.25"}"#);
    check(Value::Duration(Duration::from_ms(7)), r#"{"duration_ms":7}"#);
    for json in ["1.5", "null", "[]", r#"{"bytes":1,"more":2}"#, r#"{"decimal":"1GiB"}"#] {
        let error = serde_json::from_str::<Value>(json).unwrap_err().to_string();
        assert!(error.starts_with("expected a boolean"), "{json}: {error}");
    }
}

#[test]
fn json_of_claims_is_an_object_by_key() {
    let mut claims = Claims::new();
    claims.insert(key("region"), claim(Value::text("eu").unwrap())).unwrap();
    let json = r#"{"region":{"value":"eu","provenance":"measured","at_ms":1000}}"#;
    assert_eq!(serde_json::to_string(&claims).unwrap(), json);
    assert_eq!(serde_json::from_str::<Claims>(json).unwrap(), claims);

    let entry = r#"{"value":1,"provenance":"declared","at_ms":0}"#;
    let twice = format!(r#"{{"a":{entry},"a":{entry}}}"#);
    let error = serde_json::from_str::<Claims>(&twice).unwrap_err().to_string();
    assert!(error.starts_with("two claims of a"), "{error}");
    assert!(serde_json::from_str::<Claims>(&format!(r#"{{"A":{entry}}}"#)).is_err());
    let many: Vec<String> = (0..65).map(|index| format!(r#""k{index}":{entry}"#)).collect();
    let error = serde_json::from_str::<Claims>(&format!("{{{}}}", many.join(","))).unwrap_err();
    assert!(error.to_string().starts_with("more than 64 claims"), "{error}");
}

#[test]
fn the_json_schema_is_that_of_the_json() {
    let schema = serde_json::to_string(&schemars::schema_for!(Claims)).unwrap();
    for part in ["at_ms", "duration_ms", "\"maxProperties\":64", "measured"] {
        assert!(schema.contains(part), "{part} is not in {schema}");
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_to_their_own_encoding_or_not_at_all(
        bytes in prop::collection::vec(prop_oneof![0_u8..6, any::<u8>(), Just(b'a')], 0..80),
    ) {
        if let Ok(value) = Value::from_bytes(&bytes) {
            prop_assert_eq!(value.to_bytes(), &*bytes);
        }
        if let Ok(claims) = Claims::from_bytes(&bytes) {
            prop_assert_eq!(claims.to_bytes(), bytes);
        }
    }
}
