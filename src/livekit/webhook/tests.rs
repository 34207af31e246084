//! Senders, in virtual time: over a receiver from a table, and over HTTP on this machine.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::future::LocalBoxFuture;
use hive_actors::livekit::proto::WebhookEvent;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

use super::{
    backoff::Backoff,
    distribute::Missed,
    post::{Answer, HttpPost, Message, Post, PostError, clients},
    sender::{Patience, Sender},
    signature::tests::signer,
};
use crate::config::Secret;

const TIMEOUT: Duration = Duration::from_secs(5);

fn patience() -> Patience {
    Patience {
        timeout: TIMEOUT,
        max_attempts: 3,
        backoff: Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        },
    }
}

/// What the receiver does with each post; afterwards it takes everything.
#[derive(Clone, Copy)]
enum Reaction {
    Status(u16),
    Later(u16, u64),
    Silent,
    Cut,
}

/// Ids that came, how many were missed before, and when.
type Came = Vec<(String, u64, Duration)>;

#[derive(Clone)]
struct Table {
    reactions: Rc<RefCell<VecDeque<Reaction>>>,
    came: Rc<RefCell<Came>>,
    started: Rc<Cell<Instant>>,
}

impl Table {
    fn new(reactions: &[Reaction]) -> Self {
        Self {
            reactions: Rc::new(RefCell::new(reactions.iter().copied().collect())),
            came: Rc::default(),
            started: Rc::new(Cell::new(Instant::now())),
        }
    }

    fn note(&self, body: &[u8]) -> Option<Reaction> {
        let posted: Value = serde_json::from_slice(body).expect("JSON");
        let id = posted["id"].as_str().expect("an id").to_owned();
        let missed = posted["numDropped"].as_u64().unwrap_or(0);
        self.came
            .borrow_mut()
            .push((id, missed, self.started.get().elapsed()));
        self.reactions.borrow_mut().pop_front()
    }

    fn ids(&self) -> Vec<String> {
        self.came
            .borrow()
            .iter()
            .map(|(id, ..)| id.clone())
            .collect()
    }
}

impl Post for Table {
    fn post(&self, message: Message) -> LocalBoxFuture<'_, Result<Answer, PostError>> {
        let reaction = self.note(&message.body).unwrap_or(Reaction::Status(200));
        Box::pin(async move {
            let (status, retry_after) = match reaction {
                Reaction::Status(status) => (status, None),
                Reaction::Later(status, seconds) => (status, Some(Duration::from_secs(seconds))),
                Reaction::Silent => std::future::pending().await,
                Reaction::Cut => return Err(PostError::Broken("cut".to_owned())),
            };
            Ok(Answer {
                status,
                retry_after,
            })
        })
    }
}

/// Delivers events of these ids.
async fn send<P: Post>(post: P, missed: Missed, ids: &[&str]) {
    let (events, waiting) = mpsc::channel(ids.len());
    for id in ids {
        let event = WebhookEvent {
            event: "room_started".to_owned(),
            id: (*id).to_owned(),
            ..WebhookEvent::default()
        };
        events
            .try_send(Arc::new(event))
            .expect("there is a place for each");
    }
    drop(events);
    let sender = Sender {
        receiver: "http://test".into(),
        missed,
        post,
        signer: signer(),
        patience: patience(),
    };
    sender.run(waiting, StdRng::seed_from_u64(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_before_the_next_event() {
    use Reaction::{Cut, Silent, Status};
    let table = Table::new(&[Status(503), Cut, Status(200), Status(429), Silent]);
    send(table.clone(), Missed::default(), &["a", "b", "c"]).await;
    assert_eq!(table.ids(), ["a", "a", "a", "b", "b", "b", "c"]);
    let came = table.came.borrow();
    let wait = |n: usize| (came[n].2 - came[n - 1].2).as_secs_f64();
    assert!((0.5..=1.0).contains(&wait(1)), "{}", wait(1));
    assert!((1.0..=2.0).contains(&wait(2)), "{}", wait(2));
    assert_eq!(came[3].2, came[2].2, "the next comes at once");
    let silence = wait(5) - TIMEOUT.as_secs_f64();
    assert!((1.0..=2.0).contains(&silence), "{silence}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_tried_again_and_the_next_says_what_was_missed() {
    use Reaction::Status;
    let table = Table::new(&[Status(400), Status(302), Status(404)]);
    send(table.clone(), Missed::default(), &["a", "b", "c", "d", "e"]).await;
    assert_eq!(table.ids(), ["a", "b", "c", "d", "e"]);
    let missed: Vec<_> = table.came.borrow().iter().map(|came| came.1).collect();
    assert_eq!(missed, [0, 1, 2, 3, 0]);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_what_was_lost_before_is_not_forgotten() {
    let table = Table::new(&[Reaction::Status(500); 3]);
    let missed = Missed::default();
    missed.add(7);
    send(table.clone(), missed, &["a", "b"]).await;
    assert_eq!(table.ids(), ["a", "a", "a", "b"]);
    let missed: Vec<_> = table.came.borrow().iter().map(|came| came.1).collect();
    assert_eq!(missed, [7, 7, 7, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_may_say_when_to_come_again_within_reason() {
    use Reaction::Later;
    let table = Table::new(&[Later(429, 12), Later(503, 86_400)]);
    send(table.clone(), Missed::default(), &["a"]).await;
    let times: Vec<_> = table
        .came
        .borrow()
        .iter()
        .map(|came| came.2.as_secs())
        .collect();
    assert_eq!(times, [0, 12, 42]);
}

/// The head and body of one request.
async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).expect("ASCII");
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.parse::<usize>().expect("a number"))
            });
            let whole = end + 4 + length.expect("a length");
            if bytes.len() >= whole {
                return Some((head, bytes[end + 4..whole].to_vec()));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Takes connections, and requests on each, until the sender is done.
async fn serve(listener: TcpListener, table: Table, heads: Rc<RefCell<Vec<String>>>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        while let Some((head, body)) = read_request(&mut stream).await {
            heads.borrow_mut().push(head);
            let status = match table.note(&body) {
                Some(Reaction::Status(status)) => status,
                Some(Reaction::Cut) => break,
                _ => 200,
            };
            let answer = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: 2\r\nLocation: /elsewhere\r\n\r\nok"
            );
            stream
                .write_all(answer.as_bytes())
                .await
                .expect("the sender reads");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn over_http_a_post_is_as_livekits() {
    use Reaction::{Cut, Status};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let table = Table::new(&[Status(200), Status(503), Cut, Status(200), Status(302)]);
    let heads = Rc::new(RefCell::new(Vec::new()));
    let url = Secret::new(format!("http://{address}/hook?token=t"));
    let sending = tokio::task::LocalSet::new();
    sending
        .run_until(async {
            let (url, client) = clients(&[url]).expect("a client").remove(0);
            tokio::select! {
                () = send(HttpPost::new(client, url), Missed::default(), &["a", "b", "c", "d"]) => {}
                () = serve(listener, table.clone(), heads.clone()) => {}
            }
        })
        .await;
    assert_eq!(table.ids(), ["a", "b", "b", "b", "c", "d"]);
    assert_eq!(table.came.borrow()[5].1, 1, "a redirect is not followed");
    let heads = heads.borrow();
    let head = heads[0].to_ascii_lowercase();
    assert!(head.starts_with("post /hook?token=t http/1.1"), "{head}");
    for line in [
        "content-type: application/webhook+json",
        "authorization: ey",
        "user-agent: hive/",
    ] {
        assert!(
            head.lines().any(|found| found.starts_with(line)),
            "{line}: {head}"
        );
    }
}

/// Takes one post a connection, answers it, and leaves the answer's body open.
async fn leave_open(listener: TcpListener, table: Table) {
    let mut open = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (_, body) = read_request(&mut stream).await.expect("a post");
        table.note(&body);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok";
        stream.write_all(head).await.expect("the sender reads");
        open.push(stream);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_body_stays_open_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let table = Table::new(&[]);
    let missed = Missed::default();
    tokio::task::LocalSet::new()
        .run_until(async {
            let url = Secret::new(format!("http://{address}/"));
            let (url, client) = clients(&[url]).expect("a client").remove(0);
            tokio::select! {
                () = send(HttpPost::new(client, url), missed.clone(), &["a", "b"]) => {}
                () = leave_open(listener, table.clone()) => {}
            }
        })
        .await;
    assert_eq!(table.ids(), ["a", "b"]);
    assert_eq!(missed.take(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_not_there_is_given_up() {
    // Bound and not listening: who connects is refused, and nobody else can have the port.
    let bound = tokio::net::TcpSocket::new_v4().expect("a socket");
    bound
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .expect("a free port");
    let address = bound.local_addr().expect("bound");
    let missed = Missed::default();
    tokio::task::LocalSet::new()
        .run_until(async {
            let url = Secret::new(format!("http://{address}/"));
            let (url, client) = clients(&[url]).expect("a client").remove(0);
            send(HttpPost::new(client, url), missed.clone(), &["a"]).await;
        })
        .await;
    assert_eq!(missed.take(), 1);
}
