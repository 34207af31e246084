use std::time::Instant;

use super::super::testing::{Stream, l2t2};
use super::*;

fn stream(codec: VideoCodec) -> Stream {
    Stream::new(codec, 0, 0x1_0000, 0, Instant::now())
}

#[test]
fn an_idr_picture_behind_its_parameter_sets_is_no_second_start() {
    let mut stream = stream(VideoCodec::H264);
    let parameters = stream.packet(0, false, None, &[0x67, 1]).info;
    assert!(parameters.keyframe && parameters.begins_frame && !parameters.ends_frame);
    let first = stream.packet(0, false, None, &[0x7C, 0x85, 1]).info;
    assert!(!first.keyframe && !first.begins_frame);
    let last = stream.packet(0, true, None, &[0x7C, 0x45, 1]).info;
    assert!(!last.keyframe && last.ends_frame);
    assert!(stream.packet(33, true, None, &[0x41, 1]).info.begins_frame);

    // One without any is a start, unless they were lost.
    assert!(stream.packet(66, true, None, &[0x65, 1]).info.keyframe);
    stream.seq += 1;
    assert!(!stream.packet(99, true, None, &[0x65, 1]).info.keyframe);
    // They come late.
    stream.seq -= 2;
    assert!(stream.packet(99, false, None, &[0x67, 1]).info.keyframe);
}

#[test]
fn frames_are_read_by_the_last_dependency_structure() {
    let mut stream = stream(VideoCodec::Av1);
    let unread = stream
        .packet(0, true, Some(&l2t2(5, 3)), &[0x10, 0x30, 0])
        .info;
    assert_eq!(unread.dependency, None);
    // The keyframe is told by its descriptor, here without the payload's own bit.
    let key = stream
        .packet(33, false, Some(&l2t2(0, 4)), &[0x10, 0x30, 0])
        .info;
    assert!(key.keyframe && key.begins_frame && key.ends_frame);
    let upper = stream
        .packet(33, true, Some(&l2t2(3, 5)), &[0x10, 0x30, 0])
        .info;
    assert!(!upper.keyframe);
    assert_eq!((upper.spatial, upper.temporal), (1, 0));
    let delta = stream
        .packet(66, true, Some(&l2t2(2, 6)), &[0x10, 0x30, 0])
        .info;
    assert_eq!((delta.spatial, delta.temporal), (0, 1));
    let bare = stream.packet(99, true, None, &[0x10, 0x30, 0]).info;
    assert_eq!(bare.dependency, None);
    assert!(bare.begins_frame && bare.ends_frame);
}

#[test]
fn what_cannot_be_read_is_of_the_base_layer() {
    for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1] {
        let info = stream(codec).packet(0, true, Some(&[0xFF]), &[0x98]).info;
        assert!(!info.keyframe);
        assert_eq!((info.spatial, info.temporal), (0, 0));
        assert_eq!(info.dependency, None);
    }
}
