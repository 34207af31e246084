//! A TURN client over either transport, with the messages of another implementation than the server's.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use rtc_crypto::default_provider;
use rtc_stun::{
    attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME},
    error_code::ErrorCodeAttribute,
    integrity::MessageIntegrity,
    message::{
        CLASS_INDICATION, CLASS_REQUEST, CLASS_SUCCESS_RESPONSE, Getter, METHOD_ALLOCATE,
        METHOD_DATA, METHOD_SEND, Message, MessageType, Method, Setter, TransactionId,
    },
    textattrs::TextAttribute,
};
use rtc_turn::proto::{
    PROTO_UDP, data::Data, peeraddr::PeerAddress, relayaddr::RelayedAddress,
    reqtrans::RequestedTransport,
};

use crate::server::PATIENCE;

/// A server and credentials, as a WHIP answer tells them.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) server: SocketAddr,
    pub(crate) tcp: bool,
    pub(crate) username: String,
    pub(crate) credential: String,
}

impl Told {
    /// Reads a `Link` header (RFC 9725, section 4.6).
    pub(crate) fn read(link: &str) -> Self {
        let (url, parameters) = link
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
            .expect("a target");
        let parameter = |name: &str| {
            let start = format!("{name}=\"");
            let parts = parameters.split("; ");
            let value = parts
                .filter_map(|part| part.strip_prefix(&start)?.strip_suffix('"'))
                .next();
            value
                .unwrap_or_else(|| panic!("no {name} in {link}"))
                .to_owned()
        };
        assert_eq!(parameter("rel"), "ice-server");
        assert_eq!(parameter("credential-type"), "password");
        let (server, transport) = url
            .strip_prefix("turn:")
            .and_then(|url| url.split_once("?transport="))
            .expect("a TURN URL");
        Self {
            server: server.parse().expect("an address"),
            tcp: transport == "tcp",
            username: parameter("username"),
            credential: parameter("credential"),
        }
    }
}

/// Time after which a request is sent again (RFC 8489, section 6.2.1).
const RETRANSMISSION: Duration = Duration::from_millis(500);

enum Transport {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// A client with its own socket.
pub(crate) struct TurnClient {
    transport: Transport,
    told: Told,
    realm: String,
    nonce: String,
}

/// Error codes; 0 is a success.
pub(crate) type Code = u16;

impl TurnClient {
    pub(crate) fn new(told: &Told) -> Self {
        let transport = if told.tcp {
            let stream = TcpStream::connect(told.server).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            Transport::Tcp(stream)
        } else {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.connect(told.server).expect("an address");
            socket
                .set_read_timeout(Some(RETRANSMISSION))
                .expect("a timeout");
            Transport::Udp(socket)
        };
        Self {
            transport,
            told: told.clone(),
            realm: String::new(),
            nonce: String::new(),
        }
    }

    /// Asks without credentials first, as every client does, and then with them.
    pub(crate) fn allocate(&mut self) -> Result<SocketAddr, Code> {
        let (code, challenge) = self.exchange(METHOD_ALLOCATE, requested_transport(), false);
        assert_eq!(code, 401, "a stranger");
        self.realm = text(&challenge, ATTR_REALM);
        self.nonce = text(&challenge, ATTR_NONCE);
        let (code, answer) = self.exchange(METHOD_ALLOCATE, requested_transport(), true);
        if code != 0 {
            return Err(code);
        }
        let mut relayed = RelayedAddress::default();
        relayed.get_from(&answer).expect("a relayed address");
        Ok(SocketAddr::new(relayed.ip, relayed.port))
    }

    /// A request with credentials.
    pub(crate) fn request(&mut self, method: Method, attributes: Vec<Box<dyn Setter>>) -> Code {
        self.exchange(method, attributes, true).0
    }

    /// A SEND indication.
    pub(crate) fn send_to(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut indication = Message::new();
        indication
            .build(&[
                Box::new(TransactionId::new()),
                Box::new(MessageType::new(METHOD_SEND, CLASS_INDICATION)),
                peer_attribute(peer),
                Box::new(Data(data.to_vec())),
            ])
            .expect("an indication");
        self.write(&indication.raw);
    }

    /// The next DATA indication: who sent what.
    pub(crate) fn receive(&mut self) -> (SocketAddr, Vec<u8>) {
        let message = decoded(self.read());
        assert_eq!(message.typ, MessageType::new(METHOD_DATA, CLASS_INDICATION));
        let (mut peer, mut data) = (PeerAddress::default(), Data::default());
        peer.get_from(&message).expect("a peer");
        data.get_from(&message).expect("data");
        (SocketAddr::new(peer.ip, peer.port), data.0)
    }

    /// One frame as it is, padded on TCP.
    pub(crate) fn write(&mut self, frame: &[u8]) {
        match &mut self.transport {
            Transport::Udp(socket) => {
                socket.send(frame).expect("sent");
            }
            Transport::Tcp(stream) => {
                let mut padded = frame.to_vec();
                padded.resize(frame.len().next_multiple_of(4), 0);
                stream.write_all(&padded).expect("sent");
            }
        }
    }

    /// One frame as it comes, without padding.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(frame) = self.next_frame() {
                return frame;
            }
        }
        panic!("nothing came");
    }

    /// `None` is nothing for a while.
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        match &mut self.transport {
            Transport::Udp(socket) => {
                let mut buffer = vec![0; 2048];
                let len = socket.recv(&mut buffer).ok()?;
                buffer.truncate(len);
                Some(buffer)
            }
            Transport::Tcp(stream) => {
                let mut frame = vec![0; 4];
                stream.read_exact(&mut frame).expect("an open connection");
                let told = usize::from(u16::from_be_bytes([frame[2], frame[3]]));
                let is_channel = frame[0] >= 0x40;
                let len = if is_channel { 4 + told } else { 20 + told };
                frame.resize(len.next_multiple_of(4), 0);
                stream.read_exact(&mut frame[4..]).expect("a whole frame");
                frame.truncate(len);
                Some(frame)
            }
        }
    }

    /// Sends a request until it is answered, for UDP loses some.
    fn answered(&mut self, request: &Message) -> Message {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.write(&request.raw);
            while let Some(frame) = self.next_frame() {
                let answer = decoded(frame);
                if answer.transaction_id == request.transaction_id {
                    return answer;
                }
            }
        }
        panic!("no answer to {request}");
    }

    fn exchange(
        &mut self,
        method: Method,
        attributes: Vec<Box<dyn Setter>>,
        signed: bool,
    ) -> (Code, Message) {
        let provider = default_provider().expect("a crypto provider");
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(TransactionId::new()),
            Box::new(MessageType::new(method, CLASS_REQUEST)),
        ];
        for attribute in attributes {
            setters.push(attribute);
        }
        if signed {
            for (kind, text) in [
                (ATTR_USERNAME, &self.told.username),
                (ATTR_REALM, &self.realm),
                (ATTR_NONCE, &self.nonce),
            ] {
                setters.push(Box::new(TextAttribute::new(kind, text.clone())));
            }
            let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
                self.told.username.clone(),
                self.realm.clone(),
                self.told.credential.clone(),
                provider.crypto(),
            );
            setters.push(Box::new(integrity.expect("a key")));
        }
        let mut request = Message::new();
        request.build(&setters).expect("a request");
        let answer = self.answered(&request);
        let code = if answer.typ.class == CLASS_SUCCESS_RESPONSE {
            0
        } else {
            let mut error = ErrorCodeAttribute::default();
            error.get_from(&answer).expect("an error code");
            error.code.0
        };
        (code, answer)
    }
}

pub(crate) fn requested_transport() -> Vec<Box<dyn Setter>> {
    let protocol = PROTO_UDP;
    vec![Box::new(RequestedTransport { protocol })]
}

pub(crate) fn peer_attribute(peer: SocketAddr) -> Box<dyn Setter> {
    let (ip, port) = (peer.ip(), peer.port());
    Box::new(PeerAddress { ip, port })
}

pub(crate) fn decoded(frame: Vec<u8>) -> Message {
    let mut message = Message::new();
    message.unmarshal_binary(&frame).expect("STUN");
    message
}

fn text(message: &Message, kind: rtc_stun::attributes::AttrType) -> String {
    let text = TextAttribute::get_from_as(message, kind).expect("a text attribute");
    text.text
}
