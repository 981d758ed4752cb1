import { type ReactNode, useEffect, useState } from 'react';
import { SignOut } from '../access/SignOut';
import { type AccessMode, accessMode, address } from '../api';
import { RoomsPanel } from '../rooms/RoomsPanel';
import { texts } from '../texts';
import { Logo } from '../ui/Logo';
import { AuditSection } from './AuditSection';
import { KeysSection } from './KeysSection';
import { LinksSection } from './LinksSection';
import { NowSection } from './NowSection';
import { ReceiversSection } from './ReceiversSection';
import { SessionsSection } from './SessionsSection';
import { SettingsSection } from './SettingsSection';
import { SECTIONS, type SectionId, sectionOf } from './sections';
import './owner.css';

const PANELS: Record<SectionId, () => ReactNode> = {
  now: NowSection,
  rooms: RoomsPanel,
  links: LinksSection,
  sessions: SessionsSection,
  keys: KeysSection,
  receivers: ReceiversSection,
  audit: AuditSection,
  settings: SettingsSection,
};

/** The part that the address names, also as it changes. */
function useSection(): SectionId {
  const [section, setSection] = useState(() => sectionOf(window.location.hash));

  useEffect(() => {
    const changed = () => setSection(sectionOf(window.location.hash));
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);

  useEffect(() => {
    document.title = texts.owner.title(texts.owner.sections[section]);
  }, [section]);

  return section;
}

/** Whether access is open; null until that is known. */
function useMode(): AccessMode | null {
  const [mode, setMode] = useState<AccessMode | null>(null);

  useEffect(() => {
    // What else is on the page says what is wrong with the server.
    accessMode().then(setMode, () => {});
  }, []);

  return mode;
}

/** What the owner sees of the server, and does with it: one part of it at a time. */
export function Console() {
  const section = useSection();
  const mode = useMode();
  const Panel = PANELS[section];

  return (
    <div className="page">
      <header className="page__header">
        <Logo />
        <div className="page__actions">
          <SignOut />
          <a className="button" href={address('/recordings.html')}>
            {texts.join.allRecordings}
          </a>
          <a className="button button--primary" href={address('/')}>
            {texts.list.join}
          </a>
        </div>
      </header>
      <main className="console">
        <div>
          <h1>{texts.access.welcome}</h1>
          <p className="console__hint">{texts.access.welcomeHint}</p>
        </div>
        {mode === 'open' && (
          <p className="console__warning" role="status">
            {texts.owner.openNote}
          </p>
        )}
        <nav className="console__nav" aria-label={texts.owner.nav}>
          {SECTIONS.map((id) => (
            <a
              key={id}
              className="console__tab"
              href={`#${id}`}
              aria-current={id === section ? 'page' : undefined}
            >
              {texts.owner.sections[id]}
            </a>
          ))}
        </nav>
        <div className="console__panel card">
          <Panel />
        </div>
      </main>
    </div>
  );
}
