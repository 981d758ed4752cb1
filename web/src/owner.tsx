import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Gate, useSignedOut } from './access/Gate';
import { setupSecret } from './access/gateState';
import { PasswordPage } from './access/PasswordPage';
import { SetPasswordForm } from './access/SetPasswordForm';
import { SignOut } from './access/SignOut';
import { RoomsPanel } from './rooms/RoomsPanel';
import { texts } from './texts';
import './theme.css';
import './base.css';

/** The secret of a link that was opened, also while the page is open already, and what forgets it. */
function useSetup(): [string | null, () => void] {
  const [secret, setSecret] = useState(() => setupSecret(window.location.hash));

  useEffect(() => {
    const changed = () => setSecret(setupSecret(window.location.hash));
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);

  const forget = () => {
    // It is used up: nobody has to find it in the address.
    window.history.replaceState(null, '', window.location.pathname);
    setSecret(null);
  };
  return [secret, forget];
}

function OwnerPage() {
  const [secret, forget] = useSetup();
  if (secret !== null) {
    return (
      <PasswordPage title={texts.access.setTitle} subtitle={texts.access.setSubtitle}>
        <SetPasswordForm secret={secret} onSet={forget} />
      </PasswordPage>
    );
  }
  return (
    <Gate>
      <Welcome />
    </Gate>
  );
}

function Welcome() {
  const isOpen = useSignedOut() === null;
  return (
    <PasswordPage
      title={isOpen ? texts.access.open : texts.access.welcome}
      subtitle={isOpen ? texts.access.openHint : texts.access.welcomeHint}
    >
      <div className="row">
        <a className="button button--primary" href="/">
          {texts.list.join}
        </a>
        <a className="button" href="/recordings.html">
          {texts.join.allRecordings}
        </a>
        <SignOut />
      </div>
      {!isOpen && <RoomsPanel />}
    </PasswordPage>
  );
}

const root = document.getElementById('root');
if (root) createRoot(root).render(<OwnerPage />);
