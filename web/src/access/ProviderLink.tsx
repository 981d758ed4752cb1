import { useEffect, useState } from 'react';
import { providerHost, resumeSession } from '../api';
import { texts } from '../texts';
import { beginUrl, OWNER_PAGE } from './provider';
import './access.css';

interface Props {
  /** Whether what is on the page has to stay, as a call has: then somebody signs in in another tab. */
  keepsPage: boolean;
}

/** The way in by an OpenID provider, where the server has one. */
export function ProviderLink({ keepsPage }: Props) {
  const [host, setHost] = useState<string | null>(null);
  const [begin] = useState(() => beginUrl(keepsPage ? OWNER_PAGE : window.location));

  useEffect(() => {
    let gone = false;
    // Without an answer there is the password.
    void providerHost().then(
      (host) => {
        if (!gone) setHost(host);
      },
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, []);

  useEffect(() => {
    if (!keepsPage || host === null) return;
    const look = () => void resumeSession().catch(() => undefined);
    window.addEventListener('focus', look);
    return () => window.removeEventListener('focus', look);
  }, [keepsPage, host]);

  if (host === null) return null;
  return (
    <>
      <p className="access__or">{texts.access.or}</p>
      <a
        className="button button--large"
        href={begin}
        target={keepsPage ? '_blank' : undefined}
        rel={keepsPage ? 'noopener' : undefined}
      >
        {texts.access.signInAt(host)}
      </a>
    </>
  );
}
