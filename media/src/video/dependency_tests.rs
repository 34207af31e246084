use super::super::testing::{BitWriter, FIRST_TEMPLATE, l2t2};
use super::*;

fn structure() -> Structure {
    parse(&l2t2(0, 7), None).unwrap().structure.unwrap()
}

fn frame(value: &[u8], structure: &mut Structure) -> FrameDependency {
    parse(value, Some(structure)).unwrap().frame.unwrap()
}

fn indications(frame: &FrameDependency) -> Vec<char> {
    [(0, 0), (0, 1), (1, 0), (1, 1)]
        .map(
            |(spatial, temporal)| match frame.indications.of(spatial, temporal) {
                Indication::NotPresent => '-',
                Indication::Discardable => 'D',
                Indication::Switch => 'S',
                Indication::Required => 'R',
            },
        )
        .into()
}

#[test]
fn reads_frames_by_the_structure_of_their_keyframe() {
    let key = parse(&l2t2(0, 7), None).unwrap().frame.unwrap();
    assert!(key.first && key.last && key.structured);
    assert_eq!((key.number, key.spatial, key.temporal), (7, 0, 0));
    assert_eq!((key.references, key.far_reference), (0, false));
    assert_eq!(indications(&key), ['S'; 4]);

    let mut structure = structure();
    let upper = frame(&l2t2(5, 10), &mut structure);
    assert_eq!((upper.number, upper.spatial, upper.temporal), (10, 1, 1));
    assert_eq!(upper.references, 0b110);
    assert!(!upper.structured);
    assert_eq!(indications(&upper), ['-', '-', '-', 'D']);
    let base = frame(&l2t2(1, 11), &mut structure);
    assert_eq!(indications(&base), ['S', 'S', 'R', 'R']);
    // Layers that the stream does not have stand for the highest below them.
    assert_eq!(base.indications.of(3, 7), Indication::Required);
    assert_eq!(upper.indications.of(2, 0), Indication::NotPresent);

    // Without a structure there is a descriptor, but nothing to read it by.
    assert!(parse(&l2t2(5, 10), None).unwrap().frame.is_none());
}

#[test]
fn reads_what_is_particular_to_a_frame() {
    let mut bits = BitWriter::default();
    bits.put(2, 0b10);
    bits.put(6, (FIRST_TEMPLATE + 2) % 64);
    bits.put(16, 0xFFFF);
    // Active targets, indications and references of its own.
    bits.put(5, 0b01110);
    bits.put(4, 0b0011);
    bits.put(8, 0b00_10_00_11);
    bits.put(6, 0b01_0101);
    bits.put(10, 0b10_0010_0000);
    bits.put(14, 0b11_0000_0100_0000);
    bits.put(2, 0);
    let mut structure = structure();
    let frame = frame(&bits.bytes(), &mut structure);
    assert_eq!(
        (frame.first, frame.last, frame.number),
        (true, false, 0xFFFF)
    );
    assert_eq!(frame.references, 1 << 6 | 1 << 33);
    assert!(frame.far_reference);
    // Targets of the lower layer are the only ones active, and stand for the upper layer's.
    assert_eq!(indications(&frame), ['-', 'S', '-', 'S']);
}

#[test]
fn malformed_descriptors_are_refused() {
    let key = l2t2(0, 7);
    for len in 0..key.len() {
        let read = parse(&key[..len], None);
        assert!(read.is_none_or(|read| read.structure.is_none()), "{len}");
    }
    // A template that the structure does not have.
    assert!(parse(&l2t2(6, 8), Some(&mut structure())).is_none());
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut kept = structure();
    for _ in 0..50_000 {
        let mut value = key.clone();
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = state as usize % value.len();
            value[at] = (state >> 32) as u8;
        }
        if let Some(read) = parse(&value, Some(&mut kept))
            && let Some(structure) = read.structure
        {
            kept = structure;
        }
    }
}
