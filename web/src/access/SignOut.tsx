import { useState } from 'react';
import { messageOf, signOut } from '../api';
import { texts } from '../texts';
import { useSignedOut } from './Gate';
import './access.css';

/** Where somebody is signed in: the way out. */
export function SignOut() {
  const signedOut = useSignedOut();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  if (signedOut === null) return null;

  const leave = async () => {
    setError(null);
    setBusy(true);
    try {
      await signOut();
      signedOut();
    } catch (error) {
      setError(messageOf(error));
      setBusy(false);
    }
  };

  return (
    <>
      {error && (
        <span className="form-error" role="alert">
          {error}
        </span>
      )}
      <button type="button" className="button button--quiet" disabled={busy} onClick={() => void leave()}>
        {busy ? texts.access.signingOut : texts.access.signOut}
      </button>
    </>
  );
}
