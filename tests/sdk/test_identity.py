"""Who somebody is over several tokens and sessions, with PyPI `livekit` and `livekit-api`."""

import asyncio
import base64
import hashlib
import hmac
import json
import time

import pytest
from livekit import api, rtc

from clients import Camera, until
from conftest import KEY, SECRET

pytestmark = pytest.mark.asyncio


def token(identity, room, ticket="", issued_s=None, valid_s=600):
    """As `POST /token` makes them, at any time."""
    now = int(time.time())
    claims = {"iss": KEY, "sub": identity, "name": identity, "nbf": issued_s or now, "exp": now + valid_s}
    claims |= {"video": {"roomJoin": True, "room": room}, **({"ticket": ticket} if ticket else {})}

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def come(media, bearer):
    session = rtc.Room()
    session.gone = []
    session.on("disconnected", session.gone.append)
    await session.connect(media.url.replace("http", "ws"), bearer)
    return session


async def test_a_token_taken_early_throws_nobody_out(media):
    early = token("Ada", "early", "TK_1", issued_s=int(time.time()) - 6 * 3600)
    ada = await come(media, token("Ada", "early", "TK_2"))
    other = await come(media, early)
    assert ada.local_participant.identity == "Ada"
    assert other.local_participant.identity.startswith("Ada-")
    await until(lambda: len(ada.remote_participants) == 1, "both are here")
    again = await come(media, early)
    await until(lambda: other.gone, "the older session of the same token ends")
    assert again.local_participant.identity == other.local_participant.identity
    assert not ada.gone
    for session in (ada, again):
        await session.disconnect()


async def test_a_right_that_was_taken_stays_away_and_a_name_that_was_given_stays(media):
    bearer = token("Ada", "rights", "TK_1")
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        ada = await come(media, bearer)
        await livekit.room.update_participant(
            api.UpdateParticipantRequest(
                room="rights",
                identity="Ada",
                name="Countess",
                metadata="calm",
                permission=api.ParticipantPermission(can_subscribe=True, can_publish=False),
            )
        )
        await ada.disconnect()
        bob = await come(media, token("Bob", "rights"))
        ada = await come(media, bearer)
        info = await livekit.room.get_participant(api.RoomParticipantIdentity(room="rights", identity="Ada"))
        assert (info.name, info.metadata, info.permission.can_publish) == ("Countess", "calm", False)
        with pytest.raises(Exception):
            await asyncio.wait_for(Camera((0, 0, 255, 255), 440).publish(ada), 8)
        for session in (ada, bob):
            await session.disconnect()


async def test_what_records_can_be_neither_removed_nor_replaced(media):
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        ada = await come(media, token("Ada", "recorded"))
        await Camera((255, 0, 0, 255), 440).publish(ada)
        output = api.EncodedFileOutput(filepath="recorded.mp4")
        egress = await livekit.egress.start_room_composite_egress(
            api.RoomCompositeEgressRequest(room_name="recorded", file_outputs=[output])
        )
        await until(lambda: ada.is_recording, "the room is shown as being recorded")
        nobody = api.RoomParticipantIdentity(room="recorded", identity=egress.egress_id)
        with pytest.raises(api.ServerError) as refused:
            await livekit.room.remove_participant(nobody)
        assert refused.value.code == "failed_precondition"
        with pytest.raises(rtc.ConnectError):
            await come(media, token(egress.egress_id, "recorded"))
        beside = await come(media, token(egress.egress_id, "recorded", "TK_9"))
        assert beside.local_participant.identity != egress.egress_id
        assert ada.is_recording
        await livekit.egress.stop_egress(api.StopEgressRequest(egress_id=egress.egress_id))
        await until(lambda: not ada.is_recording, "the room is shown as not being recorded")
        for session in (ada, beside):
            await session.disconnect()


async def test_a_moderators_mute_is_heard_by_nobody_until_it_is_taken_back(media):
    async with api.LiveKitAPI(media.url, KEY, SECRET) as livekit:
        ada, bob = await come(media, token("Ada", "muted")), await come(media, token("Bob", "muted"))
        _, microphone = await Camera((0, 255, 0, 255), 440).publish(ada)
        await until(lambda: len(bob.remote_participants["Ada"].track_publications) == 2, "Bob sees what Ada publishes")
        await livekit.room.mute_published_track(
            api.MuteRoomTrackRequest(room="muted", identity="Ada", track_sid=microphone.sid, muted=True)
        )
        heard = bob.remote_participants["Ada"].track_publications[microphone.sid]
        await until(lambda: heard.muted, "others see that it is muted")
        for session in (ada, bob):
            await session.disconnect()
