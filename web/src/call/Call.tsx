import {
  RoomAudioRenderer,
  RoomContext,
  useConnectionState,
  useParticipants,
  useRoomContext,
} from '@livekit/components-react';
import {
  ConnectionState,
  type DisconnectReason,
  type RemoteParticipant,
  Room,
  RoomEvent,
} from 'livekit-client';
import { useCallback, useEffect, useState } from 'react';
import { address, isByLink, may, type Recording } from '../api';
import { follower } from '../follow/follower';
import { timeOfDay } from '../format';
import type { Ticket } from '../join/JoinPage';
import { RecordingList } from '../recordings/RecordingList';
import { useRoomRecordings } from '../recordings/useRoomRecordings';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { Logo } from '../ui/Logo';
import { Notices, useNotices } from '../ui/Notices';
import { ConsentNotice } from './ConsentNotice';
import { ConsentSwitch } from './ConsentSwitch';
import { Controls } from './Controls';
import { comeBack, connect, lookAgain } from './comeBack';
import { type Ending, endingOf, refusalOf } from './ending';
import { PeoplePanel } from './PeoplePanel';
import { RecordAgain } from './RecordAgain';
import { RecordingBanner } from './RecordingBanner';
import { readGone, readRoomState, wasDeleted } from './roomState';
import { Tiles } from './Tiles';
import { useConsent } from './useConsent';
import { useInterruption } from './useInterruption';
import { useLobby } from './useLobby';
import { useRoomRecording } from './useRoomRecording';

/** The server tells with this topic that a recording was deleted. */
const DELETED_TOPIC = 'RECORDING_DELETED';

interface Props {
  ticket: Ticket;
  onEnd: (ending: Ending) => void;
}

const roomFor = ({ devices }: Ticket) =>
  new Room({
    adaptiveStream: true,
    dynacast: true,
    reconnectPolicy: comeBack,
    ...(devices.microphoneId ? { audioCaptureDefaults: { deviceId: devices.microphoneId } } : {}),
    ...(devices.cameraId ? { videoCaptureDefaults: { deviceId: devices.cameraId } } : {}),
  });

export default function Call({ ticket, onEnd }: Props) {
  const [room] = useState(() => roomFor(ticket));
  const { notices, notify } = useNotices();

  // biome-ignore lint/correctness/useExhaustiveDependencies: one call per ticket; the callbacks may change freely.
  useEffect(() => {
    let gone = false;
    // Whether the room was recorded when the server was last heard, and when that was.
    let recordedUntil: number | null = null;
    const state = (now: ConnectionState) => {
      if (now === ConnectionState.Connected) recordedUntil = null;
      else if (recordedUntil === null && room.isRecording) recordedUntil = Date.now();
    };
    const ended = (reason?: DisconnectReason) => {
      if (!gone) onEnd(endingOf(reason, recordedUntil));
    };
    const leave = () => void room.disconnect();
    const join = async () => {
      try {
        await connect(room, ticket, () => gone);
      } catch (error) {
        if (!gone) onEnd(refusalOf(error));
        return;
      }
      room.on(RoomEvent.Disconnected, ended);
      room.on(RoomEvent.ConnectionStateChanged, state);
      const person = room.localParticipant;
      const devices = [
        [
          ticket.devices.microphone && may('publish-microphone'),
          texts.call.microphone,
          () => person.setMicrophoneEnabled(true),
        ],
        [
          ticket.devices.camera && may('publish-camera'),
          texts.call.camera,
          () => person.setCameraEnabled(true),
        ],
      ] as const;
      await Promise.all(
        devices.map(async ([wanted, name, enable]) => {
          if (!wanted) return;
          await enable().catch(() => gone || notify('error', texts.call.deviceFailed(name)));
        }),
      );
    };
    void join();
    const lookNoMore = lookAgain(room);
    window.addEventListener('pagehide', leave);
    return () => {
      gone = true;
      lookNoMore();
      window.removeEventListener('pagehide', leave);
      room.off(RoomEvent.Disconnected, ended);
      room.off(RoomEvent.ConnectionStateChanged, state);
      leave();
    };
  }, [room]);

  return (
    <RoomContext.Provider value={room}>
      <CallScreen roomName={ticket.roomName} consent={ticket.consent} notify={notify} />
      <RoomAudioRenderer />
      <Notices notices={notices} />
    </RoomContext.Provider>
  );
}

interface ScreenProps {
  roomName: string;
  /** What was answered to being recorded before joining. */
  consent: boolean | null;
  notify: (kind: 'info' | 'error', text: string) => void;
}

function CallScreen({ roomName, consent: chosen, notify }: ScreenProps) {
  const room = useRoomContext();
  const state = useConnectionState();
  const people = useParticipants();
  const recording = useRoomRecording(room, notify);
  const list = useRoomRecordings(roomName);
  const { unheardSince, interruption, answer } = useInterruption(room, recording.active, list);
  const consent = useConsent(room, chosen, notify);
  const heard = unheardSince === null && !list.unheard;
  const waiting = useLobby(roomName, notify);
  const [panel, setPanel] = useState<'recordings' | 'people' | null>(() =>
    may('list') && window.matchMedia('(min-width: 900px)').matches ? 'recordings' : null,
  );
  const panelOpen = panel === 'recordings';
  const peopleOpen = panel === 'people';
  const { refresh, forget } = list;

  useEffect(() => {
    const received = (
      data: Uint8Array,
      from?: RemoteParticipant,
      _kind?: unknown,
      topic?: string,
      _encryption?: unknown,
      identity?: string,
    ) => {
      // What comes of somebody in the room, or who was in it, anybody can have written.
      const isOfServer = from === undefined && !identity;
      const gone = isOfServer && topic === DELETED_TOPIC ? readGone(data) : null;
      if (gone === null) return;
      if (wasDeleted(gone, readRoomState(room.metadata))) notify('info', texts.remove.done);
      forget(gone.name);
    };
    room.on(RoomEvent.DataReceived, received);
    return () => {
      room.off(RoomEvent.DataReceived, received);
    };
  }, [room, forget, notify]);

  // A server that is heard again by one way is by the other.
  useEffect(() => {
    const changed = (now: ConnectionState) => {
      if (now === ConnectionState.Connected) follower.hurry();
    };
    room.on(RoomEvent.ConnectionStateChanged, changed);
    return () => {
      room.off(RoomEvent.ConnectionStateChanged, changed);
    };
  }, [room]);

  const deleted = useCallback(
    (gone: Recording) => {
      notify('info', texts.remove.done);
      forget(gone.name);
    },
    [notify, forget],
  );

  if (state === ConnectionState.Connecting || state === ConnectionState.Disconnected) {
    return (
      <p className="loading" role="status">
        {texts.call.connecting}
      </p>
    );
  }
  const running = list.recordings?.find(({ status }) => status === 'recording');
  const startedAt = running ? running.startedAt - list.clockOffset : recording.since;
  return (
    <div className={`call ${recording.shown.at === 'recording' && heard ? 'call--recorded' : ''}`}>
      <header className="call__header">
        <Logo />
        <h1 className="call__room">
          <bdi>{roomName}</bdi>
        </h1>
        <button
          type="button"
          className={`button button--quiet call__people ${peopleOpen ? 'button--active' : ''}`}
          aria-expanded={peopleOpen}
          aria-controls="people-panel"
          title={peopleOpen ? texts.people.hide : texts.people.show}
          onClick={() => setPanel(peopleOpen ? null : 'people')}
        >
          <Icon name="people" size={18} /> {texts.call.people(people.length)}
          {waiting.length > 0 && (
            <span className="badge" role="img" aria-label={texts.lobby.count(waiting.length)}>
              {waiting.length}
            </span>
          )}
        </button>
        <RecordingBanner
          shown={recording.shown}
          failure={recording.failure}
          heard={heard}
          startedAt={startedAt}
        />
        <ConsentSwitch consent={consent} />
      </header>
      {unheardSince !== null && (
        <p className="call__lost" role="alert">
          {texts.call.reconnecting}
          {recording.active && ` ${texts.recording.unheard(timeOfDay(unheardSince))}`}
        </p>
      )}
      {unheardSince === null && list.unheard && (
        <p className="call__lost" role="status">
          {texts.list.unheard}
        </p>
      )}
      {interruption && (
        <RecordAgain
          interruption={interruption}
          onAgain={() => {
            answer(interruption.id);
            recording.start();
          }}
          onNo={() => answer(interruption.id)}
        />
      )}
      <ConsentNotice consent={consent} recorded={recording.active} />
      <SoundUnlock />
      <main className={`call__body ${panel !== null ? 'call__body--panel' : ''}`}>
        <Tiles />
        {peopleOpen && (
          <PeoplePanel
            roomName={roomName}
            people={people}
            waiting={waiting}
            notify={notify}
            onClose={() => setPanel(null)}
          />
        )}
        <aside id="recordings-panel" className="panel" hidden={!panelOpen} aria-label={texts.list.ofRoom}>
          <header className="panel__header">
            <h2>{texts.list.title}</h2>
            {!isByLink() && (
              <a href={address('/recordings.html')} target="_blank" rel="noreferrer">
                {texts.join.allRecordings}
              </a>
            )}
            <button
              type="button"
              className="button button--icon panel__close"
              aria-label={texts.list.hide}
              onClick={() => setPanel(null)}
            >
              <Icon name="close" />
            </button>
          </header>
          <RecordingList
            recordings={list.recordings}
            error={list.error}
            empty={{ title: texts.list.emptyRoom, hint: texts.list.emptyRoomHint }}
            showRoom={false}
            clockOffset={list.clockOffset}
            heard={heard}
            onRetry={refresh}
            onDeleted={deleted}
            onProblem={(text) => notify('error', text)}
          />
        </aside>
      </main>
      <Controls
        recording={recording}
        heard={heard}
        panelOpen={panelOpen}
        onPanel={() => setPanel(panelOpen ? null : 'recordings')}
        onProblem={(text) => notify('error', text)}
      />
    </div>
  );
}

/** Browsers keep pages silent until they are touched. */
function SoundUnlock() {
  const room = useRoomContext();
  const [silent, setSilent] = useState(!room.canPlaybackAudio);

  useEffect(() => {
    const changed = () => setSilent(!room.canPlaybackAudio);
    room.on(RoomEvent.AudioPlaybackStatusChanged, changed);
    return () => {
      room.off(RoomEvent.AudioPlaybackStatusChanged, changed);
    };
  }, [room]);

  if (!silent) return null;
  return (
    <button
      type="button"
      className="button button--primary call__sound"
      onClick={() => void room.startAudio()}
    >
      {texts.call.playSound}
    </button>
  );
}
