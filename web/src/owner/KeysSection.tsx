import { useState } from 'react';
import { messageOf } from '../api';
import { type ApiKey, listKeys, revokeKey } from '../api/owner';
import * as format from '../format';
import { texts } from '../texts';
import { ConfirmDialog } from '../ui/ConfirmDialog';
import { keyState } from './keyState';
import { MakeKeyForm } from './MakeKeyForm';
import { Section } from './Section';
import { useAsked } from './useAsked';
import { worded } from './worded';

const CHIPS = { inForce: 'chip chip--complete', expired: 'chip', revoked: 'chip chip--failed' } as const;

/** What programs show instead of a password: made, listed and revoked. */
export function KeysSection() {
  const { value, heard, ask } = useAsked(listKeys);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const revoke = async () => {
    if (revoking === null) return;
    setProblem(null);
    try {
      await revokeKey(revoking.id);
    } catch (error) {
      setProblem(messageOf(error));
    }
    setRevoking(null);
    ask();
  };

  return (
    <Section title={texts.owner.sections.keys} hint={texts.keys.hint} heard={heard} onAgain={ask}>
      <MakeKeyForm onMade={ask} />
      {problem !== null && (
        <p className="form-error" role="alert">
          {problem}
        </p>
      )}
      {value !== null && <h3>{texts.keys.list}</h3>}
      {value?.length === 0 && <p>{texts.keys.none}</p>}
      <ul className="console__list">
        {value?.map((key) => (
          <KeyItem key={key.id} apiKey={key} onRevoke={() => setRevoking(key)} />
        ))}
      </ul>
      {revoking !== null && (
        <ConfirmDialog
          title={texts.keys.revokeTitle}
          confirm={texts.keys.revoke}
          onConfirm={revoke}
          onClose={() => setRevoking(null)}
        >
          <p>
            <strong>
              <bdi>{revoking.name}</bdi>
            </strong>{' '}
            <code>{texts.keys.begins(revoking.id)}</code>
          </p>
          <p>{texts.keys.revokeHint}</p>
        </ConfirmDialog>
      )}
    </Section>
  );
}

function KeyItem({ apiKey, onRevoke }: { apiKey: ApiKey; onRevoke: () => void }) {
  const { id, name, rights, madeAt, expiresAt, usedAt } = apiKey;
  const state = keyState(apiKey, Date.now());
  return (
    <li className="console__item console__item--row" data-key={id}>
      <div>
        <p className="console__name">
          <bdi>{name}</bdi>
          <span className={CHIPS[state]}>{texts.keys.states[state]}</span>
        </p>
        <p className="recording__facts">
          <code>{texts.keys.begins(id)}</code>
          <span>{texts.keys.madeAt(format.date(madeAt))}</span>
          <span>{expiresAt === null ? texts.keys.unending : texts.keys.until(format.date(expiresAt))}</span>
          <span>{usedAt === null ? texts.keys.unused : texts.keys.used(format.date(usedAt))}</span>
        </p>
        <ul className="console__rights">
          {rights.map((right) => (
            <li key={right}>{worded(texts.keys.rights, right)}</li>
          ))}
        </ul>
      </div>
      {state === 'inForce' && (
        <button type="button" className="button" aria-label={texts.keys.revokeNamed(name)} onClick={onRevoke}>
          {texts.keys.revoke}
        </button>
      )}
    </li>
  );
}
