import { useId, useState } from 'react';
import type { Act, AuditPage, Refusal } from '../api/owner';
import * as format from '../format';
import { texts } from '../texts';
import { about, what, who } from './acts';
import { Section } from './Section';
import { useAudit } from './useAudit';

/** What the server takes for a search, in bytes, of which a letter has three at most. */
const SEARCH_LETTERS = 66;

/** Who did what to a recording or a right, and what was refused to whom. */
export function AuditSection() {
  const [search, setSearch] = useState('');
  const { page, heard, ask, more, loading, problem, isSearch } = useAudit(search);
  const searchId = useId();

  return (
    <Section title={texts.owner.sections.audit} hint={texts.audit.hint} heard={heard} onAgain={ask}>
      <search className="console__search">
        <div className="field">
          <label htmlFor={searchId}>{texts.audit.search}</label>
          <input
            id={searchId}
            type="search"
            value={search}
            maxLength={SEARCH_LETTERS}
            placeholder={texts.audit.searchHint}
            onChange={(event) => setSearch(event.target.value)}
          />
        </div>
        <button type="button" className="button" onClick={ask}>
          {texts.owner.reload}
        </button>
      </search>
      {page !== null && (
        <>
          <Troubles page={page} />
          {page.acts.length === 0 && <p>{isSearch ? texts.audit.noMatch : texts.audit.none}</p>}
          {page.acts.length > 0 && <Acts acts={page.acts} />}
          {problem !== null && (
            <p className="form-error" role="alert">
              {problem}
            </p>
          )}
          {page.next !== null && (
            <button type="button" className="button" disabled={loading} onClick={() => void more()}>
              {loading ? texts.call.loading : texts.audit.more}
            </button>
          )}
          {page.refusals.length > 0 && <Refusals refusals={page.refusals} />}
        </>
      )}
    </Section>
  );
}

/** What the log itself lacks. */
function Troubles({ page: { trouble, unwritten, lost } }: { page: AuditPage }) {
  if (trouble === null && unwritten === 0 && lost === 0) return null;
  return (
    <div className="console__troubles">
      {trouble !== null && <p>{trouble}</p>}
      {unwritten > 0 && <p>{texts.audit.unwritten(unwritten)}</p>}
      {lost > 0 && <p>{texts.audit.lost(lost)}</p>}
    </div>
  );
}

function Head() {
  const { columns } = texts.audit;
  return (
    <thead>
      <tr>
        {[columns.when, columns.what, columns.who, columns.where].map((column) => (
          <th key={column} scope="col">
            {column}
          </th>
        ))}
      </tr>
    </thead>
  );
}

function Acts({ acts }: { acts: Act[] }) {
  return (
    <table className="console__table">
      <caption>{texts.audit.acts}</caption>
      <Head />
      <tbody>
        {acts.map((act) => (
          <tr key={act.id} data-act={act.act}>
            <td>
              <time dateTime={new Date(act.at).toISOString()}>{format.moment(act.at)}</time>
            </td>
            <td>
              <strong>{what(act.act)}</strong> <bdi>{about(act)}</bdi>
              {act.hasFailed && <p className="recording__error">{texts.audit.failed(act.reason)}</p>}
            </td>
            <td>
              <bdi>{who(act.who)}</bdi>
            </td>
            <td>{act.address}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Refusals({ refusals }: { refusals: Refusal[] }) {
  return (
    <table className="console__table">
      <caption>{texts.audit.refusals}</caption>
      <Head />
      <tbody>
        {refusals.map((refusal) => {
          const { act, on, reason, count, firstAt, lastAt, address } = refusal;
          return (
            <tr key={JSON.stringify([act, on, reason, refusal.who, address, firstAt])} data-refusal={act}>
              <td>
                {count > 1
                  ? texts.audit.span(format.moment(firstAt), format.moment(lastAt))
                  : format.moment(lastAt)}
              </td>
              <td>
                <strong>{what(act)}</strong> <bdi>{about({ on, detail: reason })}</bdi>
                {count > 1 && <p className="recording__note">{texts.audit.times(count)}</p>}
              </td>
              <td>
                <bdi>{who(refusal.who)}</bdi>
              </td>
              <td>{address}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
