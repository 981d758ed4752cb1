import { lazy, Suspense, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { PasswordPage } from './access/PasswordPage';
import { ApiError, type Invitation, may, messageOf, openLink } from './api';
import type { Ending } from './call/ending';
import { JoinPage, type Ticket } from './join/JoinPage';
import { texts } from './texts';
import './theme.css';
import './base.css';
import './call.css';

// The media client is large: it is loaded while the form is already usable.
const loadCall = () => import('./call/Call');
const Call = lazy(loadCall);

type Screen =
  | { at: 'opening' }
  | { at: 'gone'; why: string }
  | { at: 'join' }
  | { at: 'call'; ticket: Ticket }
  | { at: 'ended'; ending: Ending };

/** What the link that was opened has behind its "#", where no server and no proxy sees it. It stays there: whoever loads the page again is in. */
const secretOf = (hash: string): string => hash.replace(/^#/, '');

/** Whoever was invited into a room by a link. */
function Invited() {
  const [screen, setScreen] = useState<Screen>({ at: 'opening' });
  const [invitation, setInvitation] = useState<Invitation | null>(null);
  const [participantName, setParticipantName] = useState('');

  useEffect(() => {
    openLink(secretOf(window.location.hash)).then(
      (opened) => {
        setInvitation(opened);
        setScreen({ at: 'join' });
      },
      (error: unknown) => {
        const isOver = error instanceof ApiError && (error.status === 401 || error.status === 404);
        setScreen({ at: 'gone', why: isOver ? texts.invited.goneHint : messageOf(error) });
      },
    );
    // Another link in the same tab is another room.
    const changed = () => window.location.reload();
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);

  if (screen.at === 'gone') {
    return (
      <PasswordPage title={texts.invited.gone} subtitle={screen.why}>
        {null}
      </PasswordPage>
    );
  }
  if (screen.at === 'opening' || invitation === null) {
    return (
      <p className="loading" role="status">
        {texts.invited.opening}
      </p>
    );
  }
  if (screen.at === 'call') {
    return (
      <Suspense fallback={<p className="loading">{texts.call.loading}</p>}>
        <Call ticket={screen.ticket} onEnd={(ending) => setScreen({ at: 'ended', ending })} />
      </Suspense>
    );
  }
  if (screen.at === 'ended') {
    return (
      <PasswordPage title={screen.ending.title} subtitle={screen.ending.detail ?? ''}>
        <div className="row">
          <button
            type="button"
            className="button button--primary button--large"
            onClick={() => setScreen({ at: 'join' })}
          >
            {texts.ended.rejoin}
          </button>
        </div>
      </PasswordPage>
    );
  }
  const devices = {
    camera: may('publish-camera'),
    microphone: may('publish-microphone'),
    cameraId: null,
    microphoneId: null,
  };
  return (
    <JoinPage
      initial={{ roomName: invitation.roomName, participantName, devices }}
      isInvited
      waits={invitation.lobby && invitation.role === 'guest'}
      asksConsent={invitation.asksConsent}
      onJoin={(ticket) => {
        setParticipantName(ticket.participantName);
        setScreen({ at: 'call', ticket });
      }}
    />
  );
}

const root = document.getElementById('root');
if (root) createRoot(root).render(<Invited />);
void loadCall();
