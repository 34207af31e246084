//! Sound and picture of one publisher, together.

use crate::rtcp::write::Compound;
use crate::testing::{Call, Member, ms};

/// What the reports of a source say of a timestamp: its NTP time, in ms.
fn told(reports: &[(u32, u64, u32)], ssrc: u32, rate: f64, timestamp: u32) -> f64 {
    let newest = reports.iter().rev().find(|(of, ..)| *of == ssrc);
    let &(_, ntp, at) = newest.unwrap();
    let ticks = timestamp.wrapping_sub(at) as i32;
    let seconds = (ntp >> 32) % 1_000_000;
    let fraction = (ntp & 0xFFFF_FFFF) as f64 / f64::from(u32::MAX);
    (seconds as f64 + fraction) * 1000.0 + f64::from(ticks) * 1000.0 / rate
}

#[test]
fn the_publishers_clock_puts_sound_and_picture_together() {
    let mut call = Call::new();
    let epoch = call.net.epoch;
    let mut member = Member::new();
    member.speak(0x100, 30).film(0x1000, &[400_000], epoch);
    let (publisher, negotiated) = call.join(member, &[]);
    let tracks = [negotiated.published[0].track, negotiated.published[1].track];
    let (viewer, _) = call.join(Member::viewer(1, 1), &tracks);
    // How much later, in ms, than the picture that comes together with it a sound was made.
    let mut late = Vec::new();
    for reported in [None, Some(0), Some(150), Some(5000)] {
        call.run(ms(2000));
        if let Some(apart) = reported {
            let (now, member) = (call.net.now, &call.members[publisher]);
            let sound = u32::from(member.microphones[0].sent) * 960;
            let captured = (now.mono - epoch).as_millis() as u32;
            let picture = member.cameras[0].layers[0].timestamp_at(captured);
            // Any clock does, as long as it is one.
            let ntp = 1_000_000u64 << 32;
            let at = |ms: u64| {
                ntp + (ms << 32) / 1000
                    + ((now.mono - epoch).as_micros() as u64 * (1 << 32)) / 1_000_000
            };
            for (ssrc, ntp, timestamp) in [(0x100, at(apart), sound), (0x1000, at(0), picture)] {
                let mut buffer = [0; 200];
                let mut compound = Compound::new(&mut buffer);
                compound.sender_report(ssrc, ntp, timestamp, (0, 0));
                let len = compound.len();
                call.net.clients[publisher].send_rtcp(&buffer[..len]);
            }
        }
        call.run(ms(2500));
        let member = &call.members[viewer];
        let frame = member.screen("1").frames.last().unwrap();
        let picture = told(
            &member.sender_reports,
            member.screen("1").ssrc,
            90_000.0,
            frame.timestamp,
        );
        let heard = member.heard_in("0");
        let heard = heard.last().unwrap();
        let sound = told(
            &member.sender_reports,
            heard.header.ssrc,
            48_000.0,
            heard.header.timestamp,
        );
        late.push(sound - picture);
    }
    let near = |value: f64, expected: f64| (value - expected).abs() < 60.0;
    assert!(near(late[0], 0.0) && near(late[1], 0.0), "{late:?}");
    assert!(near(late[2], 150.0), "{late:?}");
    // Clocks that have nothing to do with each other.
    assert!(near(late[3], 0.0), "{late:?}");
}
