import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from 'react';
import { accessMode, isSignedIn, onSession } from '../api';
import { texts } from '../texts';
import { Dialog } from '../ui/Dialog';
import { type GateEvent, type GateState, next } from './gateState';
import { PasswordPage } from './PasswordPage';
import { SignInForm } from './SignInForm';

/** What tells the gate that its reader has signed out; null where nobody is signed in. */
const SignedOut = createContext<(() => void) | null>(null);
export const useSignedOut = () => useContext(SignedOut);

async function ask(): Promise<GateEvent> {
  try {
    if ((await accessMode()) === 'open') return 'open';
    return (await isSignedIn()) ? 'in' : 'out';
  } catch {
    // What is on the page says by itself what is wrong with the server.
    return 'open';
  }
}

/** Shows a page to those who may see it, and a form to others. The address stays: whoever signs in is where they were going. */
export function Gate({ children }: { children: ReactNode }) {
  const [gate, setGate] = useState<GateState>('asking');
  const tell = useCallback((event: GateEvent) => setGate((now) => next(now, event)), []);
  const enter = useCallback(() => tell('in'), [tell]);
  const leave = useCallback(() => {
    // Where access is open, they are somebody like everybody else from now on.
    accessMode().then(
      (mode) => tell(mode === 'open' ? 'open' : 'out'),
      () => tell('out'),
    );
  }, [tell]);

  useEffect(
    () =>
      onSession(async (signedIn) => {
        if (signedIn) return tell('in');
        // It may have been a proxy in front that refused, which has a form of its own.
        const mode = await accessMode().catch(() => 'open');
        if (mode === 'invite') tell('refused');
      }),
    [tell],
  );

  useEffect(() => {
    let gone = false;
    void ask().then((event) => {
      if (!gone) tell(event);
    });
    return () => {
      gone = true;
    };
  }, [tell]);

  if (gate === 'asking') {
    return (
      <p className="loading" role="status">
        {texts.call.loading}
      </p>
    );
  }
  if (gate === 'out') {
    return (
      <PasswordPage title={texts.access.title} subtitle={texts.access.subtitle}>
        <SignInForm />
      </PasswordPage>
    );
  }
  return (
    <SignedOut value={gate === 'open' ? null : leave}>
      {children}
      {gate === 'over' && (
        <Dialog title={texts.access.title} className="dialog--small" onClose={enter}>
          <p>{texts.access.again}</p>
          <SignInForm keepsPage />
        </Dialog>
      )}
    </SignedOut>
  );
}
