import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Gate, useSignedOut } from './access/Gate';
import { setupSecret } from './access/gateState';
import { PasswordPage } from './access/PasswordPage';
import { SetPasswordForm } from './access/SetPasswordForm';
import { Console } from './owner/Console';
import { OpenServer } from './owner/OpenServer';
import type { SectionId } from './owner/sections';
import { texts } from './texts';
import './theme.css';
import './base.css';

/** What an owner does first. */
const FIRST: SectionId = 'rooms';

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
    window.history.replaceState(null, '', `${window.location.pathname}#${FIRST}`);
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
      <SignedIn />
    </Gate>
  );
}

function SignedIn() {
  return useSignedOut() === null ? <OpenServer /> : <Console />;
}

const root = document.getElementById('root');
if (root) createRoot(root).render(<OwnerPage />);
