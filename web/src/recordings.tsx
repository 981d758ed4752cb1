import { useId, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Gate } from './access/Gate';
import { OwnerLink } from './access/OwnerLink';
import { SignOut } from './access/SignOut';
import { address, SORTS, type Sort } from './api';
import { RecordingList } from './recordings/RecordingList';
import { type Filter, useLibrary } from './recordings/useLibrary';
import { texts } from './texts';
import { Logo } from './ui/Logo';
import { Notices, useNotices } from './ui/Notices';
import './theme.css';
import './base.css';

const NO_FILTER: Filter = { roomName: '', q: '', sort: '-startedAt' };

function LibraryPage() {
  const [filter, setFilter] = useState<Filter>({
    ...NO_FILTER,
    roomName: new URLSearchParams(window.location.search).get('roomName') ?? '',
  });
  const library = useLibrary({ ...filter, roomName: filter.roomName.trim(), q: filter.q.trim() });
  const { notices, notify } = useNotices();
  const roomId = useId();
  const searchId = useId();
  const sortId = useId();
  const filtered = filter.roomName !== '' || filter.q !== '';
  const empty = filtered
    ? { title: texts.list.emptyFilter, hint: texts.list.emptyFilterHint }
    : { title: texts.list.emptyAll, hint: texts.list.emptyAllHint };

  return (
    <div className="page">
      <header className="page__header">
        <Logo />
        <div className="page__actions">
          <SignOut />
          <OwnerLink />
          <a className="button button--primary" href={address('/')}>
            {texts.list.join}
          </a>
        </div>
      </header>
      <main className="library">
        <div className="library__title">
          <h1>{texts.list.title}</h1>
          {library.recordings && library.recordings.length > 0 && (
            <span aria-live="polite">{texts.list.count(library.recordings.length, library.hasMore)}</span>
          )}
        </div>
        <search className="library__filters card">
          <div className="field">
            <label htmlFor={roomId}>{texts.list.filterRoom}</label>
            <input
              id={roomId}
              value={filter.roomName}
              autoComplete="off"
              onChange={(event) => setFilter({ ...filter, roomName: event.target.value })}
            />
          </div>
          <div className="field">
            <label htmlFor={searchId}>{texts.list.search}</label>
            <input
              id={searchId}
              type="search"
              value={filter.q}
              placeholder={texts.list.searchHint}
              onChange={(event) => setFilter({ ...filter, q: event.target.value })}
            />
          </div>
          <div className="field">
            <label htmlFor={sortId}>{texts.list.sort}</label>
            <select
              id={sortId}
              value={filter.sort}
              onChange={(event) => setFilter({ ...filter, sort: event.target.value as Sort })}
            >
              {SORTS.map((sort) => (
                <option key={sort} value={sort}>
                  {texts.sort[sort]}
                </option>
              ))}
            </select>
          </div>
        </search>
        {library.unheard && (
          <p className="list-error" role="status">
            {texts.list.unheard}
          </p>
        )}
        <RecordingList
          recordings={library.recordings}
          error={library.error}
          empty={empty}
          showRoom
          clockOffset={library.clockOffset}
          heard={!library.unheard}
          onRetry={library.refresh}
          onDeleted={(recording) => {
            library.forget(recording);
            notify('info', texts.remove.done);
          }}
          onProblem={(text) => notify('error', text)}
        />
        <div className="library__more">
          {filtered && library.recordings?.length === 0 && (
            <button type="button" className="button" onClick={() => setFilter(NO_FILTER)}>
              {texts.list.clearFilter}
            </button>
          )}
          {library.hasMore && (
            <button
              type="button"
              className="button button--large"
              disabled={library.loading}
              onClick={library.more}
            >
              {texts.list.more}
            </button>
          )}
        </div>
      </main>
      <Notices notices={notices} />
    </div>
  );
}

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <Gate>
      <LibraryPage />
    </Gate>,
  );
}
