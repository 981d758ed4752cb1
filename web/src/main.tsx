import { lazy, Suspense, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Gate } from './access/Gate';
import { address } from './api';
import type { Ending } from './call/ending';
import { JoinPage, type Ticket } from './join/JoinPage';
import { texts } from './texts';
import { Logo } from './ui/Logo';
import './theme.css';
import './base.css';
import './call.css';

// The media client is large: it is loaded while the form is already usable.
const loadCall = () => import('./call/Call');
const Call = lazy(loadCall);

type Screen = { at: 'join' } | { at: 'call'; ticket: Ticket } | { at: 'ended'; ending: Ending };

const firstParticipant = `Participant${Math.floor(Math.random() * 100)}`;
const firstRoom = new URLSearchParams(window.location.search).get('room') ?? 'Test Room';

function Page() {
  const [screen, setScreen] = useState<Screen>({ at: 'join' });
  const [initial, setInitial] = useState({
    participantName: firstParticipant,
    roomName: firstRoom,
    devices: {
      camera: true,
      microphone: true,
      cameraId: null as string | null,
      microphoneId: null as string | null,
    },
  });

  if (screen.at === 'call') {
    return (
      <Suspense fallback={<p className="loading">{texts.call.loading}</p>}>
        <Call ticket={screen.ticket} onEnd={(ending) => setScreen({ at: 'ended', ending })} />
      </Suspense>
    );
  }
  if (screen.at === 'ended') {
    return (
      <div className="page">
        <header className="page__header">
          <Logo />
        </header>
        <main className="ended card">
          <h1>{screen.ending.title}</h1>
          {screen.ending.detail && <p>{screen.ending.detail}</p>}
          <div className="row">
            <button
              type="button"
              className="button button--primary button--large"
              onClick={() => setScreen({ at: 'join' })}
            >
              {texts.ended.rejoin}
            </button>
            <a className="button button--large" href={address('/recordings.html')}>
              {texts.join.allRecordings}
            </a>
          </div>
        </main>
      </div>
    );
  }
  return (
    <JoinPage
      initial={initial}
      onJoin={(ticket) => {
        setInitial(ticket);
        setScreen({ at: 'call', ticket });
      }}
    />
  );
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <Gate>
      <Page />
    </Gate>,
  );
}
void loadCall();
