//! A port that somebody else has stops the start, with the key to change.

mod server;

use std::net::{TcpListener, UdpSocket};

use server::{API_KEY, API_SECRET, Finished, hive, run};

fn serve(http: &str, media: &str) -> Finished {
    run(hive()
        .arg("serve")
        .env("HIVE__AUTH__KEYS", format!("{{{API_KEY}: {API_SECRET}}}"))
        .env("HIVE__HTTP__BIND", http)
        .env("HIVE__MEDIA__BIND", media))
}

#[test]
fn a_taken_tcp_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = serve(&address, "127.0.0.1:0");
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("`http.bind`"),
        "{ended:?}"
    );
}

#[test]
fn a_taken_udp_port() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = serve("127.0.0.1:0", &address);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("media.bind"),
        "{ended:?}"
    );
}
