//! Primitives at their edges.

use bytes::Bytes;

use super::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Field, STRING_BYTES_MAX, Str,
    Version,
};

#[test]
fn varints_come_back_at_every_width() {
    let mut edges: Vec<i64> =
        (0..64).flat_map(|bit| [1i64 << bit, (1i64 << bit).wrapping_sub(1)]).collect();
    edges.extend(edges.clone().into_iter().map(i64::wrapping_neg));
    for value in edges {
        let mut out = Encoder::new();
        out.put_varlong(value);
        out.put_uvarlong(value as u64);
        out.put_varint(value as i32);
        out.put_uvarint(value as u32);
        let frame = out.take_bytes();
        let mut input = Decoder::new(&frame);
        assert_eq!(input.varlong().unwrap(), value);
        assert_eq!(input.uvarlong().unwrap(), value as u64);
        assert_eq!(input.varint().unwrap(), value as i32);
        assert_eq!(input.uvarint().unwrap(), value as u32);
        input.finish().unwrap();
    }
}

/// From the protocol buffers' documentation, whose varints Kafka uses.
#[test]
fn varints_are_what_the_document_says() {
    let mut out = Encoder::new();
    out.put_uvarint(150);
    [0, -1, 1, -2, i32::MAX, i32::MIN].into_iter().for_each(|value| out.put_varint(value));
    let zigzag = [0, 1, 2, 3, 0xfe, 255, 255, 255, 15, 255, 255, 255, 255, 15];
    assert_eq!(out.take_bytes(), [&[0x96, 1][..], &zigzag].concat());
}

/// As in Kafka, whose generated code refuses longer ones in both forms.
#[test]
fn a_string_has_as_many_bytes_in_the_compact_form_as_in_the_other() {
    for flexible in [false, true] {
        let version = Version { number: 0, flexible };
        let encoded = |len_bytes| {
            let mut out = Encoder::new();
            let text = Str::from("x".repeat(len_bytes));
            out.frame(|out| text.encode(out, version)).map(|()| out.take_bytes().slice(4..))
        };
        let longest = encoded(STRING_BYTES_MAX).unwrap();
        let read = Str::decode(&mut Decoder::new(&longest), version);
        assert_eq!(read.map(|text| text.len()), Ok(32_767));
        assert_eq!(encoded(STRING_BYTES_MAX + 1), Err(EncodeError::TooLong(32_768)));
    }
    let version = Version { number: 0, flexible: true };
    let mut out = Encoder::new();
    out.put_uvarint(32_769);
    out.put(&[b'x'; 32_768]);
    let frame = out.take_bytes();
    let kind = |error: DecodeError| error.kind();
    let too_long = DecodeErrorKind::StringTooLong(32_768);
    let mut input = Decoder::new(&frame);
    assert_eq!(Str::decode(&mut input, version).map_err(kind), Err(too_long));
    let mut input = Decoder::new(&frame);
    assert_eq!(Str::skip(&mut input, version).map_err(kind), Err(too_long));
}

#[test]
fn varints_too_long_are_errors() {
    let too_long = |bytes: &[u8], wide: bool| {
        let frame = Bytes::copy_from_slice(bytes);
        let mut input = Decoder::new(&frame);
        let result = if wide { input.uvarlong() } else { input.uvarint().map(u64::from) };
        result.unwrap_err().kind() == DecodeErrorKind::VarintTooLong
    };
    assert!(too_long(&[255, 255, 255, 255, 16], false), "2^32");
    assert!(too_long(&[128, 128, 128, 128, 128, 0], false), "six bytes");
    assert!(too_long(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2], true), "2^64");
    assert!(too_long(&[128; 11], true), "eleven bytes");
}
