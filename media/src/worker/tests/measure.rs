//! Measurements, not tests: `cargo test --release -p hive-media measure -- --ignored --nocapture`.

#![allow(clippy::disallowed_methods, reason = "it paces real senders")]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::Now;
use crate::testing::{Client, Net, Offering};
use crate::{Role, Subscription};

const ROOMS: u64 = 10;
const LISTENERS: u64 = 9;
const PACKETS: u32 = 5000;

struct Wired {
    client: Client,
    socket: UdpSocket,
}

impl Wired {
    fn join(worker: &MediaWorker, room: u64, id: u64, offering: Offering, role: Role) -> Wired {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(worker.local_addr()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let mut client = Client::new(&address, offering);
        let accepted = block_on(worker.accept(AcceptPeer {
            room: RoomId(room),
            peer: PeerId(id),
            offer: client.offer(),
            role,
        }))
        .unwrap();
        client.take_answer(&accepted.answer);
        let mut wired = Wired { client, socket };
        wired.client.check(true);
        wired.turn();
        wired.client.start_dtls(Instant::now());
        let start = Instant::now();
        while !wired.client.is_connected() {
            assert!(start.elapsed() < PATIENCE);
            wired.turn();
        }
        wired.turn();
        wired
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.client.outbox.pop_front() {
            self.socket.send(&datagram).unwrap();
        }
    }

    fn turn(&mut self) {
        self.flush();
        let mut buffer = [0; 2000];
        if let Ok(len) = self.socket.recv(&mut buffer) {
            self.client.handle(&Now::read(), &buffer[..len]);
        }
        self.flush();
    }
}

/// CPU time of the thread named `name`, user and system.
fn thread_cpu(name: &str) -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        if head.ends_with(name) {
            let fields: Vec<&str> = tail.split_whitespace().collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    Duration::from_millis(ticks * 10)
}

#[test]
#[ignore = "a measurement"]
fn measure_forwarded_packets_per_cpu_second() {
    let (worker, _events) = worker(|_| {});
    let mut publishers = Vec::new();
    let mut listeners = Vec::new();
    for room in 0..ROOMS {
        let id = room * 100;
        publishers.push(Wired::join(
            &worker,
            room,
            id,
            Offering::PUBLISH,
            Role::Publish,
        ));
        for listener in 1..=LISTENERS {
            let role = Role::Listen(Subscription::Floor);
            let wired = Wired::join(&worker, room, id + listener, Offering::listen(1), role);
            wired.socket.set_nonblocking(true).unwrap();
            listeners.push(wired.socket);
        }
    }
    let done = Arc::new(AtomicBool::new(false));
    let drain = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let (mut count, mut buffer) = (0u64, [0; 2000]);
            while !done.load(Ordering::Relaxed) {
                for socket in &listeners {
                    while socket.recv(&mut buffer).is_ok() {
                        count += 1;
                    }
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            count
        }
    });
    let before = (worker.totals().rtp_out, thread_cpu("hive-media"));
    let start = Instant::now();
    for packet in 0..PACKETS {
        let publisher = &mut publishers[packet as usize % ROOMS as usize];
        let seq = packet / ROOMS as u32;
        publisher
            .client
            .send_audio(seq as u16, seq * 960, 30, &[7; 160]);
        publisher.flush();
        // 50 packets a second for each publisher, evenly spaced.
        let next = start + Duration::from_millis(2) * packet;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(Duration::from_millis(100));
    let after = (worker.totals().rtp_out, thread_cpu("hive-media"));
    done.store(true, Ordering::Relaxed);
    let delivered = drain.join().unwrap();
    let forwarded = after.0 - before.0;
    let cpu = after.1 - before.1;
    println!(
        "{forwarded} packets of 160 B in {cpu:?} of the worker's CPU time: {:.0} a CPU-second; \
         {delivered} datagrams delivered (reports included)",
        forwarded as f64 / cpu.as_secs_f64()
    );
}

#[test]
#[ignore = "a measurement"]
fn measure_memory_per_peer() {
    // SAFETY: mallinfo2 only reads the allocator's own statistics.
    let heap = || unsafe { libc::mallinfo2().uordblks };
    let mut net = Net::new();
    for _ in 0..10 {
        let publisher = net.publisher();
        for _ in 0..9 {
            net.listener(1);
        }
        net.speak(publisher, 0, 80, 30);
    }
    let peers = net.clients.len();
    let full = heap();
    drop(net.engine);
    println!("{} KB of heap a peer", (full - heap()) / 1024 / peers);
}
