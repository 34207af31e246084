use super::*;
use crate::livekit::verdict::Judge;
use futures_util::stream;
use hive_actors::livekit::proto::LeaveRequest;

const PATIENCE: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// A pump and what it is used with.
struct Bench {
    pump: Pump,
    queue: mpsc::Receiver<Outgoing>,
    judge: Judge,
    heard: Heard,
    doorway: watch::Sender<Doorway>,
}

fn bench(queue: usize) -> Bench {
    let (to, queue) = mpsc::channel(queue);
    let doorway = watch::Sender::new(Doorway::Open);
    let (judge, heard) = (Judge::new(), Heard::now());
    let pump = Pump {
        to,
        patience: PATIENCE,
        ping_timeout: PING_TIMEOUT,
        heard: heard.clone(),
        judgement: judge.judgement(),
        doorway: doorway.subscribe(),
        left: false,
    };
    Bench {
        pump,
        queue,
        judge,
        heard,
        doorway,
    }
}

fn said(outgoing: Option<Outgoing>) -> Option<Message> {
    match outgoing {
        Some(Outgoing::Frame(frame)) => {
            let response = SignalResponse::decode(frame.as_slice()).expect("a response");
            response.message
        }
        _ => None,
    }
}

/// What is told until the close frame, and its code; then the session ends.
async fn read(mut queue: mpsc::Receiver<Outgoing>) -> (Vec<Message>, Option<CloseCode>) {
    let mut told = Vec::new();
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            Outgoing::Close(code, _) => return (told, Some(code)),
            frame => told.extend(said(Some(frame))),
        }
    }
    (told, None)
}

fn leave_of(message: &Message) -> &LeaveRequest {
    match message {
        Message::Leave(leave) => leave,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_cut_off_once_its_queue_was_full_for_too_long() {
    let Bench {
        pump,
        mut queue,
        doorway: _open,
        ..
    } = bench(2);
    let (started, cut) = (Instant::now(), Cell::new(false));
    let ended = pump
        .run(stream::repeat(Message::Pong(1)), || cut.set(true))
        .await;
    assert_eq!(ended, Ended::TooSlow);
    assert!(cut.get());
    assert_eq!(started.elapsed(), PATIENCE);
    assert!(said(queue.recv().await).is_some() && said(queue.recv().await).is_some());
    assert!(
        queue.recv().await.is_none(),
        "no more than the queue's bound was kept"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_up_gets_everything_in_order_and_nothing_after_a_leave() {
    let Bench {
        pump,
        queue,
        doorway: _open,
        ..
    } = bench(1);
    let goodbye = leave(DisconnectReason::RoomDeleted, Action::Disconnect);
    let outbox = (0..100)
        .map(Message::Pong)
        .chain([Message::Leave(goodbye), Message::Pong(101)]);
    let (ended, (told, code)) = futures_util::join!(
        pump.run(stream::iter(outbox), || panic!("not slow")),
        read(queue)
    );
    assert_eq!((ended, code), (Ended::RoomSaid, Some(CloseCode::Normal)));
    let pongs: Vec<_> = (0..100).map(Message::Pong).collect();
    assert_eq!(told[..100], pongs[..]);
    assert_eq!(leave_of(&told[100]).reason(), DisconnectReason::RoomDeleted);
    assert_eq!(told.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_is_closed_so_that_it_resumes() {
    let Bench {
        pump,
        queue,
        heard,
        doorway: _open,
        ..
    } = bench(1);
    let started = Instant::now();
    let pinging = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        heard.again();
    };
    let (ended, (told, code), ()) = futures_util::join!(
        pump.run(stream::pending(), || panic!("it answers")),
        read(queue),
        pinging
    );
    assert_eq!((ended, code), (Ended::Silent, Some(CloseCode::Away)));
    assert!(told.is_empty());
    assert_eq!(started.elapsed(), Duration::from_secs(10) + PING_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_room_let_go_of_is_closed_so_that_its_client_resumes() {
    let Bench {
        pump,
        queue,
        doorway: _open,
        ..
    } = bench(1);
    let outbox = stream::iter([Message::Pong(1)]);
    let (ended, (told, code)) =
        futures_util::join!(pump.run(outbox, || panic!("it answers")), read(queue));
    assert_eq!((ended, code), (Ended::Dropped, Some(CloseCode::Away)));
    assert_eq!(told, [Message::Pong(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_to_leave_is_told_why_and_cut_if_it_does_not_close() {
    let Bench {
        pump,
        mut queue,
        judge,
        doorway: _open,
        ..
    } = bench(4);
    judge.pass(Verdict::Malformed);
    judge.pass(Verdict::Left);
    let (started, cut) = (Instant::now(), Cell::new(false));
    let ended = pump.run(stream::pending(), || cut.set(true)).await;
    assert_eq!(
        ended,
        Ended::Judged(Verdict::Malformed),
        "the first verdict counts"
    );
    assert_eq!((cut.get(), started.elapsed()), (true, LINGER));
    let goodbye = said(queue.recv().await).expect("a goodbye");
    assert_eq!(leave_of(&goodbye).action(), Action::Disconnect);
    assert!(matches!(
        queue.recv().await,
        Some(Outgoing::Close(CloseCode::Normal, _))
    ));
}

#[tokio::test(start_paused = true)]
async fn shutting_down_sends_clients_elsewhere() {
    let Bench {
        pump,
        queue,
        doorway,
        ..
    } = bench(1);
    doorway.send_replace(Doorway::Closing);
    let (ended, (told, code)) = futures_util::join!(
        pump.run(stream::repeat(Message::Pong(1)), || panic!("not slow")),
        read(queue)
    );
    assert_eq!((ended, code), (Ended::Closing, Some(CloseCode::Normal)));
    assert_eq!(
        leave_of(&told[0]).reason(),
        DisconnectReason::ServerShutdown
    );
    assert_eq!(leave_of(&told[0]).action(), Action::Reconnect);
}

#[tokio::test(start_paused = true)]
async fn when_the_socket_goes_the_pump_ends_without_waiting_for_a_message() {
    let Bench {
        pump,
        queue,
        doorway: _open,
        ..
    } = bench(1);
    drop(queue);
    let ended = pump.run(stream::pending(), || panic!("it is gone")).await;
    assert_eq!(ended, Ended::SocketGone);
}
