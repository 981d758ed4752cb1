import { useEffect } from 'react';
import { PasswordPage } from '../access/PasswordPage';
import { SignInForm } from '../access/SignInForm';
import { accessMode, address, resumeSession } from '../api';
import { texts } from '../texts';
import { Console } from './Console';
import { useAsked } from './useAsked';

/** What whoever is not signed in sees. The gate lets on where access is open, and where the server did not say. */
export function OpenServer() {
  const { value: mode, error, ask } = useAsked(accessMode);

  if (mode === 'open') return <Open />;
  // What it asks for is refused, and the gate asks who it is for.
  if (mode === 'invite') return <Console />;
  if (error === null) {
    return (
      <p className="loading" role="status">
        {texts.call.loading}
      </p>
    );
  }
  return (
    <PasswordPage title={texts.owner.silent} subtitle={error}>
      <button type="button" className="button" onClick={ask}>
        {texts.list.retry}
      </button>
    </PasswordPage>
  );
}

/** Where nobody has to sign in: what it would give to have them, and how. Whoever is signed in all the same goes on. */
function Open() {
  useEffect(() => {
    // Without an answer there is nothing to take up.
    resumeSession().catch(() => {});
  }, []);

  return (
    <PasswordPage title={texts.access.open} subtitle={texts.access.openHint}>
      <div className="row">
        <a className="button button--primary" href={address('/')}>
          {texts.list.join}
        </a>
        <a className="button" href={address('/recordings.html')}>
          {texts.join.allRecordings}
        </a>
      </div>
      <h2 className="access__heading">{texts.open.gives}</h2>
      <ul className="access__list">
        {texts.open.gifts.map((gift) => (
          <li key={gift}>{gift}</li>
        ))}
      </ul>
      <h2 className="access__heading">{texts.open.how}</h2>
      <ol className="access__list">
        {texts.open.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <p className="access__hint">{texts.open.recordings}</p>
      <details>
        <summary>{texts.open.signIn}</summary>
        <div className="access__form">
          <p className="access__hint">{texts.open.signInHint}</p>
          <SignInForm />
        </div>
      </details>
    </PasswordPage>
  );
}
