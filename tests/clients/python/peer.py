"""LiveKit's Python client and room service, directed by a test."""

import asyncio
import hashlib
import inspect
from typing import Any, get_args, get_type_hints

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import Message
from livekit import api, rtc
from livekit.rtc.room import EventTypes

from lines import emit, serve
from sound import RATE, Ear, tone, wav

SOURCES = {"microphone": rtc.TrackSource.SOURCE_MICROPHONE, "camera": rtc.TrackSource.SOURCE_CAMERA}
NAMES = {number: name for name, number in SOURCES.items()}
FRAME_MS = 20


def describe(it: Any) -> dict[str, Any]:
    """The fields of an event's argument that tests look at."""
    match it:
        case rtc.Participant():
            return {"identity": it.identity}
        case rtc.TrackPublication():
            kind = "audio" if it.kind == rtc.TrackKind.KIND_AUDIO else "video"
            return {"sid": it.sid, "name": it.name, "kind": kind, "source": NAMES.get(it.source), "muted": it.muted}
        case rtc.DataPacket():
            sender = it.participant.identity if it.participant else None
            return {"text": it.data.decode(errors="replace"), "topic": it.topic or "", "identity": sender}
        case str() | int() | float() | bool() | dict():
            return {"value": it}
        case [*items] if all(isinstance(item, rtc.Participant) for item in items):
            return {"identities": [item.identity for item in items]}
        case _:
            return {}


class Peer:
    """One participant, and one caller of the room service."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.ears: dict[str, Ear] = {}
        self.pictures: dict[str, dict[str, Any]] = {}
        self.tracks: dict[str, rtc.LocalTrack] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        for event in get_args(EventTypes):
            self.room.on(event, lambda *args, event=event: self.happened(event, args))
        self.room.on("track_subscribed", self.subscribed)
        self.calls = {
            name: method
            for name, method in inspect.getmembers(self, inspect.iscoroutinefunction)
            if not name.startswith("_")
        }

    def happened(self, event: str, args: tuple[Any, ...]) -> None:
        fields: dict[str, Any] = {}
        for arg in args:
            fields |= describe(arg)
        if event == "participant_disconnected":
            [who] = args
            fields |= {"name": who.name, "reason": rtc.DisconnectReason.Name(who.disconnect_reason or 0)}
        emit(event, **fields)

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # Coming and going

    async def connect(self, url: str, token: str, auto_subscribe: bool = True, single: bool | None = None) -> None:
        options = rtc.RoomOptions(auto_subscribe=auto_subscribe, single_peer_connection=single)
        await self.room.connect(url, token, options)

    async def disconnect(self) -> None:
        await self.room.disconnect()

    async def people(self) -> dict[str, Any]:
        """Everybody else, as this client knows them."""
        return {
            who.identity: {"name": who.name, "metadata": who.metadata, "attributes": dict(who.attributes)}
            for who in self.room.remote_participants.values()
        }

    async def about_room(self) -> dict[str, Any]:
        return {"name": self.room.name, "metadata": self.room.metadata, "sid": await self.room.sid}

    # Receiving

    def subscribed(self, track: rtc.Track, publication: rtc.TrackPublication, who: rtc.RemoteParticipant) -> None:
        key = f"{who.identity}/{publication.name}"
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self.spawn(self._listen(track, self.ears.setdefault(key, Ear())))
        else:
            self.spawn(self._watch(track, key))

    async def _listen(self, track: rtc.Track, ear: Ear) -> None:
        async for event in rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1):
            ear.hear(np.frombuffer(event.frame.data, np.int16))

    async def _watch(self, track: rtc.Track, key: str) -> None:
        seen = self.pictures.setdefault(key, {"frames": 0})
        async for event in rtc.VideoStream.from_track(track=track, format=rtc.VideoBufferType.RGB24):
            frame = event.frame
            pixels = np.frombuffer(frame.data, np.uint8).reshape(-1, 3)
            seen |= {
                "frames": seen["frames"] + 1,
                "width": frame.width,
                "height": frame.height,
                "rgb": pixels.mean(axis=0).tolist(),
                "spread": float(pixels.mean(axis=1).std()),
            }

    async def heard(self) -> dict[str, Any]:
        """What was heard, by `identity/track`."""
        return {key: ear.report() for key, ear in self.ears.items()}

    async def seen(self) -> dict[str, Any]:
        """What was seen, by `identity/track`."""
        return self.pictures

    # Publishing

    async def publish_tone(self, name: str, hertz: float) -> str:
        """Publishes a sine as the microphone."""
        source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        self.spawn(self._sing(source, hertz))
        return await self._publish(track, "microphone")

    async def _sing(self, source: rtc.AudioSource, hertz: float) -> None:
        samples = RATE * FRAME_MS // 1000
        at = 0
        while True:
            await source.capture_frame(rtc.AudioFrame(tone(hertz, at, samples).tobytes(), RATE, 1, samples))
            at += samples

    async def publish_wav(self, name: str, path: str) -> str:
        """Publishes a WAV file as the microphone, then silence."""
        rate, samples = wav(path)
        source = rtc.AudioSource(rate, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        sid = await self._publish(track, "microphone")
        self.spawn(self._say(source, rate, samples))
        return sid

    async def _say(self, source: rtc.AudioSource, rate: int, samples: np.ndarray) -> None:
        size = rate * FRAME_MS // 1000
        for at in range(0, len(samples) - size + 1, size):
            await source.capture_frame(rtc.AudioFrame(samples[at : at + size].tobytes(), rate, 1, size))
        emit("said")
        while True:
            await source.capture_frame(rtc.AudioFrame(bytes(2 * size), rate, 1, size))

    async def publish_colour(
        self, name: str, rgb: list[int], width: int = 320, height: int = 180, simulcast: bool | None = None
    ) -> str:
        """Publishes one colour as the camera."""
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track(name, source)
        self.spawn(self._show(source, bytes([*rgb, 255]) * (width * height), width, height))
        return await self._publish(track, "camera", simulcast)

    async def _show(self, source: rtc.VideoSource, pixels: bytes, width: int, height: int) -> None:
        while True:
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGBA, pixels))
            await asyncio.sleep(1 / 15)

    async def _publish(self, track: rtc.LocalTrack, source: str, simulcast: bool | None = None) -> str:
        options = rtc.TrackPublishOptions(source=SOURCES[source], simulcast=simulcast)
        publication = await self.room.local_participant.publish_track(track, options)
        self.tracks[publication.sid] = track
        return publication.sid

    async def mute(self, sid: str, muted: bool) -> None:
        track = self.tracks[sid]
        track.mute() if muted else track.unmute()

    async def unpublish(self, sid: str) -> None:
        await self.room.local_participant.unpublish_track(sid)

    async def set_subscribed(self, identity: str, name: str, subscribed: bool) -> None:
        who = self.room.remote_participants[identity]
        next(it for it in who.track_publications.values() if it.name == name).set_subscribed(subscribed)

    async def permit(self, to: dict[str, list[str]] | None) -> None:
        """Lets nobody but these have these tracks of ours; None lets everybody have all."""
        permissions = [
            rtc.ParticipantTrackPermission(participant_identity=who, allowed_track_sids=sids)
            for who, sids in (to or {}).items()
        ]
        self.room.local_participant.set_track_subscription_permissions(
            allow_all_participants=to is None, participant_permissions=permissions
        )

    # Data

    async def publish_data(self, text: str, reliable: bool = True, topic: str = "", to: list[str] | None = None) -> None:
        await self.room.local_participant.publish_data(text, reliable=reliable, topic=topic, destination_identities=to or [])

    async def read_texts(self, topic: str) -> None:
        """Tells of every text stream of a topic, once it is complete."""

        async def read(reader: rtc.TextStreamReader, identity: str) -> None:
            text = await reader.read_all()
            attributes = dict(reader.info.attributes or {})
            emit("text", identity=identity, text=text, topic=topic, attributes=attributes)

        self.room.register_text_stream_handler(topic, lambda reader, who: self.spawn(read(reader, who)))

    async def read_files(self, topic: str) -> None:
        """Tells of every byte stream of a topic, once it is complete."""

        async def read(reader: rtc.ByteStreamReader, identity: str) -> None:
            data = b"".join([chunk async for chunk in reader])
            digest = hashlib.sha256(data).hexdigest()
            emit("file", identity=identity, size=len(data), sha256=digest, name=reader.info.name)

        self.room.register_byte_stream_handler(topic, lambda reader, who: self.spawn(read(reader, who)))

    async def send_text(self, text: str, topic: str) -> None:
        await self.room.local_participant.send_text(text, topic=topic)

    async def send_bytes(self, size: int, topic: str, name: str) -> str:
        """Sends bytes, and gives their digest."""
        data = np.random.default_rng(7).bytes(size)
        await self.room.local_participant.send_bytes(data, topic=topic, name=name)
        return hashlib.sha256(data).hexdigest()

    async def offer_rpc(self, method: str) -> None:
        """Answers a method with its payload backwards."""
        self.room.local_participant.register_rpc_method(method, self._backwards)

    async def _backwards(self, data: rtc.RpcInvocationData) -> str:
        return f"{data.caller_identity}: {data.payload[::-1]}"

    async def rpc(self, identity: str, method: str, payload: str) -> str:
        return await self.room.local_participant.perform_rpc(
            destination_identity=identity, method=method, payload=payload
        )

    async def describe_self(self, name: str, metadata: str, attributes: dict[str, str]) -> None:
        own = self.room.local_participant
        await own.set_name(name)
        await own.set_metadata(metadata)
        await own.set_attributes(attributes)

    # The room service

    async def service(self, url: str, key: str, secret: str) -> None:
        """Says where the room service is, and with which key."""
        self.key, self.secret = key, secret
        self.api = api.LiveKitAPI(url, key, secret)

    async def room_service(self, method: str, request: dict[str, Any]) -> Any:
        """Calls a method of `livekit-api`'s room service; messages are protobuf's JSON."""
        call = getattr(self.api.room, method)
        [kind] = [hint for name, hint in get_type_hints(call).items() if name != "return"]
        answer = await call(json_format.ParseDict(request, kind()))
        return json_format.MessageToDict(answer) if isinstance(answer, Message) else None

    async def verify(self, token: str) -> Any:
        """What `livekit-api` reads in a token, if it is signed with the service's key."""
        return api.TokenVerifier(self.key, self.secret).verify(token).asdict()

    async def mint(self, room: str, identity: str) -> str:
        """A token by `livekit-api`."""
        grants = api.VideoGrants(room_join=True, room=room)
        return api.AccessToken(self.key, self.secret).with_identity(identity).with_grants(grants).to_jwt()

    async def receive_webhook(self, body: str, authorization: str) -> Any:
        """What `livekit-api` makes of a webhook, if it is signed with the service's key."""
        receiver = api.WebhookReceiver(api.TokenVerifier(self.key, self.secret))
        return json_format.MessageToDict(receiver.receive(body, authorization))


async def main() -> None:
    peer = Peer()
    await serve(peer.calls)
    await peer.room.disconnect()
    if hasattr(peer, "api"):
        await peer.api.aclose()


asyncio.run(main())
