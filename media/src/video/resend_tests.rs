use std::time::{Duration, Instant};

use super::super::testing::{FIRST_SEQ, RTX_SSRC, Received, Simulcast, Subscriber, vp8_subscriber};
use crate::rtp::extension::find;

#[test]
fn a_request_is_answered_by_a_retransmission() {
    let mut subscriber = vp8_subscriber(true, true);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(0, 0);
    let mut sent = Vec::new();
    let mut received = Vec::new();
    for index in 0..9 {
        let [low, _] = track.frame((index == 0).then_some(0));
        received.extend(subscriber.forward_all(&low));
        sent.extend(low);
    }
    // The first packet of the third frame that was sent.
    let original = &received[4];
    let now = Instant::now();
    let rtt = Duration::from_millis(50);
    let wanted = subscriber
        .forwarder
        .requested(now, original.header.seq, rtt)
        .unwrap();
    let again = subscriber
        .forwarder
        .requested(now, original.header.seq, rtt);
    assert_eq!(again, None);
    let packet = sent.iter().find(|packet| packet.seq == wanted.track_seq);
    let mut wire = subscriber.resend(wanted, packet.unwrap()).unwrap();
    let repair = subscriber.open(&mut wire);
    assert_eq!(
        (repair.header.ssrc, repair.header.payload_type),
        (RTX_SSRC, 97)
    );
    assert_eq!(repair.header.seq, 0x7FFF);
    assert_eq!(repair.header.timestamp, original.header.timestamp);
    assert_eq!(repair.header.marker, original.header.marker);
    assert_eq!(repair.payload[..2], original.header.seq.to_be_bytes());
    assert_eq!(repair.payload[2..], original.payload);
    // Each has a transport-wide number of its own.
    let number = |packet: &Received| {
        let block = packet.header.extension.unwrap();
        let value = find(&packet.bytes, &block, 3).unwrap();
        u16::from_be_bytes(value.try_into().unwrap())
    };
    assert_eq!((number(original), number(&repair)), (504, 506));
    assert_eq!(subscriber.forwarder.rtx_sent(), (1, 10));
    assert_eq!(subscriber.forwarder.sent().0, 6);

    // Padding and probes go on there.
    let mut out = [0; 1500];
    let Subscriber {
        forwarder, protect, ..
    } = &mut subscriber;
    let len = forwarder.padding(200, || 507, protect, &mut out).unwrap();
    let padding = subscriber.open(&mut out[..len]);
    assert_eq!(
        (padding.header.ssrc, padding.header.seq),
        (RTX_SSRC, 0x8000)
    );
    assert!(padding.payload.is_empty() && padding.header.padding);
    assert_eq!(padding.bytes.len(), padding.header.len + 200);
    let probe = subscriber.forwarder.recent(1).unwrap();
    let packet = sent.iter().find(|packet| packet.seq == probe.track_seq);
    let mut wire = subscriber.resend(probe, packet.unwrap()).unwrap();
    let probe = subscriber.open(&mut wire);
    assert_eq!(probe.payload[2..], received[4].payload);
}

#[test]
fn what_was_before_a_change_of_layers_is_not_repeated() {
    let mut subscriber = vp8_subscriber(true, true);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(1, 0);
    let [_, high] = track.frame(Some(1));
    let before = subscriber.forward_all(&high);
    subscriber.target(0, 0);
    let [low, _] = track.frame(Some(0));
    let after = subscriber.forward_all(&low);
    let (now, rtt) = (Instant::now(), Duration::from_millis(50));
    let mut again = |packets: &[Received]| {
        let seq = packets[0].header.seq;
        subscriber.forwarder.requested(now, seq, rtt).is_some()
    };
    assert_eq!((again(&before), again(&after)), (false, true));
}

#[test]
fn without_a_retransmission_stream_a_packet_is_repeated_bit_for_bit() {
    let mut subscriber = vp8_subscriber(false, true);
    let mut track = Simulcast::new(Instant::now());
    subscriber.target(0, 2);
    let [low, _] = track.frame(Some(0));
    let received = subscriber.forward_all(&low);
    let [later, _] = track.frame(None);
    subscriber.forward_all(&later);
    let wanted = subscriber
        .forwarder
        .requested(Instant::now(), FIRST_SEQ, Duration::ZERO)
        .unwrap();
    assert_eq!(
        subscriber.resend(wanted, &low[0]).unwrap(),
        received[0].wire
    );
    assert_eq!(subscriber.resend(wanted, &low[1]), None);
    let Subscriber {
        forwarder, protect, ..
    } = &mut subscriber;
    assert_eq!(forwarder.padding(200, || 1, protect, &mut [0; 1500]), None);
}
