//! RTCP in and out.

use std::time::Duration;

use crate::rtcp::read::RtcpItem;
use crate::rtcp::write::Compound;
use crate::rtp::receive::ReportBlock;
use crate::testing::Net;

fn compound(write: impl FnOnce(&mut Compound<'_>)) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut compound = Compound::new(&mut buffer);
    write(&mut compound);
    let len = compound.len();
    buffer[..len].to_vec()
}

#[test]
fn sender_reports_map_the_listeners_timestamps_to_wall_time() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    let start = net.now;
    net.speak(publisher, 0, 150, 30);
    let reports: Vec<_> = net.clients[listener]
        .rtcp
        .iter()
        .filter_map(|(at, item)| match item {
            RtcpItem::SenderReport { ntp, timestamp, .. } => Some((*at, *ntp, *timestamp)),
            _ => None,
        })
        .collect();
    assert!((3..=5).contains(&reports.len()), "{reports:?}");
    let (first_at, ..) = reports[0];
    assert_eq!(first_at, start.mono, "the first report comes at once");
    let heard = &net.clients[listener].heard;
    for (at, ntp, timestamp) in reports {
        let elapsed = at.duration_since(start.mono);
        assert_eq!(ntp, start.after(elapsed).ntp());
        // Packet n was on the wire at n × 20 ms.
        let media = timestamp.wrapping_sub(heard[0].header.timestamp);
        let expected = (elapsed.as_millis() * 48) as u32;
        assert!(media.abs_diff(expected) <= 1, "{media} for {expected}");
    }
}

#[test]
fn publishers_are_told_of_loss_and_of_their_own_reports() {
    let mut net = Net::new();
    let publisher = net.publisher();
    net.speak(publisher, 0, 10, 30);
    let ntp = 0x1234_5678_9ABC_DEF0u64;
    let report = compound(|compound| compound.sender_report(0x1111, ntp, 0, (10, 400)));
    net.clients[publisher].send_rtcp(&report);
    net.speak(publisher, 20, 60, 30);
    let block = net.clients[publisher]
        .rtcp
        .iter()
        .rev()
        .find_map(|(_, item)| match item {
            RtcpItem::Report(block) if block.last_sr != 0 => Some(*block),
            _ => None,
        })
        .unwrap();
    assert_eq!(block.ssrc, 0x1111);
    assert_eq!(block.total_lost, 10);
    assert_eq!(block.last_sr, (ntp >> 16) as u32);
    assert!((1..=3 * 65_536).contains(&block.delay_since_last_sr));
}

#[test]
fn the_round_trip_is_measured_from_the_listeners_reports() {
    let mut net = Net::new();
    let publisher = net.publisher();
    let listener = net.listener(1);
    net.speak(publisher, 0, 5, 30);
    let (at, ntp) = net.clients[listener]
        .rtcp
        .iter()
        .find_map(|(at, item)| match item {
            RtcpItem::SenderReport { ntp, .. } => Some((*at, *ntp)),
            _ => None,
        })
        .unwrap();
    // The peer held the report for all but 80 ms.
    let held = net.now.mono.duration_since(at) - Duration::from_millis(80);
    let ssrc = net.clients[listener].slots[0];
    let report = compound(|compound| {
        compound.receiver_report(
            9,
            &[ReportBlock {
                ssrc,
                fraction_lost: 25,
                total_lost: 3,
                highest_seq: 0,
                jitter: 480,
                last_sr: (ntp >> 16) as u32,
                delay_since_last_sr: (held.as_micros() * 65_536 / 1_000_000) as u32,
            }],
        );
    });
    net.clients[listener].send_rtcp(&report);
    net.exchange();
    let stats = net.engine.stats(net.now.mono);
    let listener = &stats.peers[listener];
    assert!((listener.rtt_ms.unwrap() - 80.0).abs() < 0.5);
    assert_eq!((listener.lost_out, listener.jitter_out_ms), (3, 10.0));
}

#[test]
fn a_listener_that_asks_for_the_round_trip_is_answered() {
    let mut net = Net::new();
    let listener = net.listener(1);
    let question = compound(|compound| {
        compound.receiver_report(9, &[]);
        compound.reference_time(9, 0x1234_5678_9ABC_DEF0);
    });
    net.clients[listener].send_rtcp(&question);
    net.run(Duration::from_millis(1200));
    let answered = net.clients[listener].rtcp.iter().any(|(_, item)| {
        matches!(
            item,
            RtcpItem::DelaySinceReference {
                ssrc: 9,
                last: 0x5678_9ABC,
                ..
            }
        )
    });
    assert!(answered, "{:?}", net.clients[listener].rtcp);
}
