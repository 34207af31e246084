"""aiortc over WHIP and WHEP, directed by a test."""

import asyncio
import fractions
import time
from urllib.parse import urljoin

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from lines import emit, serve
from sound import RATE, Ear, tone

SAMPLES = RATE // 50


class Tone(MediaStreamTrack):
    """A sine, in real time."""

    kind = "audio"

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self.hertz = hertz
        self.at = 0
        self.start = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self.start + self.at / RATE - time.monotonic()))
        frame = av.AudioFrame.from_ndarray(tone(self.hertz, self.at, SAMPLES).reshape(1, -1), layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, fractions.Fraction(1, RATE)
        self.at += SAMPLES
        return frame


class Peer:
    """One WHIP or WHEP session after another, and all of them together."""

    def __init__(self) -> None:
        self.ears: list[Ear] = []
        self.sessions: dict[str, tuple[RTCPeerConnection, str]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.calls = {"publish": self.publish, "listen": self.listen, "heard": self.heard, "end": self.end}

    async def publish(self, url: str, token: str, hertz: float) -> str:
        """Speaks a sine by WHIP; gives the session's address."""
        connection = self._connection()
        connection.addTransceiver(Tone(hertz), direction="sendonly")
        return await self._negotiate(connection, url, token)

    async def listen(self, url: str, token: str, sections: int = 1) -> str:
        """Hears a room by WHEP, in so many sections; gives the session's address."""
        connection = self._connection()
        for _ in range(sections):
            connection.addTransceiver("audio", direction="recvonly")

        @connection.on("track")
        def _(track: MediaStreamTrack) -> None:
            ear = Ear()
            self.ears.append(ear)
            task = asyncio.get_running_loop().create_task(self._hear(track, ear))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

        return await self._negotiate(connection, url, token)

    def _connection(self) -> RTCPeerConnection:
        # Otherwise it takes the candidates of the last bundled section, and there are none: they are in the first.
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT))
        connection.on("connectionstatechange", lambda: emit("connection", state=connection.connectionState))
        return connection

    async def _hear(self, track: MediaStreamTrack, ear: Ear) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            for piece in resampler.resample(frame):
                ear.hear(piece.to_ndarray()[0])

    async def _negotiate(self, connection: RTCPeerConnection, url: str, token: str) -> str:
        await connection.setLocalDescription(await connection.createOffer())
        headers = {"authorization": f"Bearer {token}", "content-type": "application/sdp"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, data=connection.localDescription.sdp, headers=headers) as response,
        ):
            body = await response.text()
            if response.status != 201:
                raise RuntimeError(f"{response.status} {body}")
            session = urljoin(url, response.headers["location"])
        await connection.setRemoteDescription(RTCSessionDescription(body, "answer"))
        self.sessions[session] = connection, token
        return session

    async def heard(self) -> list[dict[str, float]]:
        """What was heard in each section."""
        return [ear.report() for ear in self.ears]

    async def end(self, session: str) -> int:
        """Ends a session; gives the status of DELETE."""
        connection, token = self.sessions.pop(session)
        async with (
            aiohttp.ClientSession() as http,
            http.delete(session, headers={"authorization": f"Bearer {token}"}) as response,
        ):
            await connection.close()
            return response.status


async def main() -> None:
    peer = Peer()
    await serve(peer.calls)
    for connection, _ in list(peer.sessions.values()):
        await connection.close()


asyncio.run(main())
